//! JSON, written by a thread that cannot ask Python to do it.

use std::fmt::Write;

/// A string, in quotation marks.
pub fn text(text: &str) -> String {
    let mut json = String::with_capacity(text.len() + 2);
    json.push('"');
    for character in text.chars() {
        match character {
            '"' | '\\' => {
                json.push('\\');
                json.push(character);
            }
            '\0'..='\x1f' => write!(json, "\\u{:04x}", character as u32).expect("writing into a string"),
            _ => json.push(character),
        }
    }
    json.push('"');
    json
}

/// A list of what is JSON already.
pub fn list(items: impl IntoIterator<Item = String>) -> String {
    let items: Vec<String> = items.into_iter().collect();
    format!("[{}]", items.join(", "))
}
