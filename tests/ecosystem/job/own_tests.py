def run_all(*a): return []
def on_terminal(s): return ""
def section(*a): return ""
