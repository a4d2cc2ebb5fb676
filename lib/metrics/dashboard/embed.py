#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""embed.py PAGE CSS JS OUT.c: the dashboard as one array, its parts in their places."""
import pathlib
import sys

page, css, js, out = map(pathlib.Path, sys.argv[1:])
text = page.read_text().replace("@css@", css.read_text()).replace("@js@", js.read_text()).encode()
rows = ",\n".join(", ".join(map(str, text[i:i + 24])) for i in range(0, len(text), 24))
out.write_text(f"""#include "metrics_priv.h"

const unsigned char metrics_dashboard[] = {{
{rows}
}};
const size_t metrics_dashboard_len = sizeof(metrics_dashboard);
""")
