# SPDX-License-Identifier: BSD-3-Clause
"""The tables of RFC sections in tests/README.md name tests that exist: all of lib/tcp's, and all that
are about caching or the syntax of messages."""
import pathlib
import re

TESTS = pathlib.Path(__file__).resolve().parents[1]
TEST = re.compile(r"^(?:Parameterized)?Test\(\s*\w+,\s*(\w+)", re.MULTILINE)
ROWS = re.compile(r'^TABLE\["(\w+)"\]', re.MULTILINE)
CITES = {"tcp": r"rfc\d", "net": "$"}  # tests that must be in a table
OF_HTTP = r"rfc(9111|9112|5861|8246|9211|9213)(_|$)"
HTTP = ("cache", "http", "origin", "resp", "serve")


def in_code():
    """{module: {file: names}}; the sections of rfc9111_rows.py are a file too."""
    code = {module: {path.stem[len("test_"):]: set(TEST.findall(path.read_text()))
                     for path in (TESTS / "unit" / module).glob("test_*.c")}
            for module in (*CITES, *HTTP)}
    code["system"] = {"rfc9111_rows": set(ROWS.findall(
        (TESTS / "system/rfc9111_rows.py").read_text()))}
    return code


def in_table():
    """(row, file, name) of each test that is named."""
    text = (TESTS / "README.md").read_text()
    rows = re.findall(r"^\| ([^|]+) \| [^|]+ \| (\w+: `[^|]+) \|$", text, re.MULTILINE)
    for section, tests in rows:
        file = None
        for word in tests.split():
            if word.endswith(":"):
                file = word[:-1]
            else:
                yield section, file, word.strip("`")


def test_what_the_table_names_exists():
    files = {file: names for module in in_code().values() for file, names in module.items()}
    named = list(in_table())
    assert len(named) > 200, "the table was not found"
    assert [row for row in named if row[2] not in files.get(row[1], ())] == []


def test_what_cites_an_rfc_is_in_the_table():
    named = {(file, name) for _, file, name in in_table()}
    cites = {(file, name) for module, files in in_code().items() for file, names in files.items()
             for name in names if re.match(CITES.get(module, OF_HTTP), name)}
    assert sorted(cites - named) == [], "add them to the row of their section in tests/README.md"


def test_a_row_cites_the_rfc_of_its_tests():
    wrong = [row for row in in_table() if "rfc" + row[0].split()[0] not in row[2]]
    assert wrong == []


def test_each_section_has_one_row():
    sections = re.findall(r"^\| (\d+[^|]*) \| [^|]+ \| \w+: `", (TESTS / "README.md").read_text(),
                          re.MULTILINE)
    assert len(sections) == len(set(sections))
