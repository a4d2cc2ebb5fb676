# SPDX-License-Identifier: BSD-3-Clause
"""Reports over OTLP/HTTP, proto3's JSON mapping, as tests read them."""


def points(report):
    """{(name, label values): data point} of an ExportMetricsServiceRequest."""
    found = {}
    resource, = report["resourceMetrics"]
    assert {"key": "service.name", "value": {"stringValue": "holdfast"}} in \
        resource["resource"]["attributes"]
    for metric in resource["scopeMetrics"][0]["metrics"]:
        data, = (metric[kind] for kind in ("sum", "gauge", "histogram") if kind in metric)
        for point in data["dataPoints"]:
            labels = tuple(pair["value"]["stringValue"] for pair in point["attributes"])
            assert (metric["name"], labels) not in found
            found[metric["name"], labels] = point
    return found
