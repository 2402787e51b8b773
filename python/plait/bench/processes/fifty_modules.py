"""What a process that is started has to import in the workload `process_start`: fifty modules of the standard library, such as programs import."""

import argparse
import array
import ast
import base64
import bisect
import calendar
import collections
import configparser
import contextlib
import copy
import csv
import dataclasses
import datetime
import decimal
import difflib
import email.message
import enum
import fnmatch
import fractions
import functools
import getpass
import glob
import gzip
import hashlib
import heapq
import hmac
import html.parser
import http.client
import inspect
import io
import json
import locale
import logging.handlers
import mimetypes
import os
import pathlib
import pickle
import pprint
import random
import re
import shlex
import shutil
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import textwrap
import urllib.request
import uuid

MODULES = tuple(thing for thing in vars().copy().values() if isinstance(thing, type(os)))


def there(number: int) -> None:
    """How a started process says that it is there, with its modules: by its exit code."""
    sys.exit(number if len(MODULES) == 50 else 255)
