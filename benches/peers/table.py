"""Rows as a Markdown table."""

HEAD = ("work", "kd-augment", "IQR", "GB/s", "peer", "images/s", "IQR", "ratio")


def _count(value: float) -> str:
    return f"{value:,.0f}"


def _spread(iqr: list[float], figure: float) -> str:
    return f"±{50 * (iqr[1] - iqr[0]) / figure:.0f} %"


def _ratio(value: float) -> str:
    return f"{value:.2f}" if value < 10 else f"{value:.0f}"


def markdown(rows: list[dict]) -> str:
    """One table: the works in their order, the best peer of each first."""
    groups: dict[str, list[dict]] = {}
    for row in rows:
        groups.setdefault(row["work"], []).append(row)
    cells = [HEAD]
    for work, group in groups.items():
        for index, row in enumerate(sorted(group, key=lambda row: row["ratio"])):
            ours = (
                work,
                _count(row["ours"]),
                _spread(row["ours_iqr"], row["ours"]),
                f"{row['ours_bytes_per_second'] / 1e9:.1f}",
            )
            cells.append(
                (ours if index == 0 else ("", "", "", ""))
                + (row["peer_name"], _count(row["peer"]), _spread(row["peer_iqr"], row["peer"]), _ratio(row["ratio"]))
            )
    widths = [max(len(line[column]) for line in cells) for column in range(len(HEAD))]
    texts = (0, 4)

    def line(values) -> str:
        padded = [v.ljust(w) if i in texts else v.rjust(w) for i, (v, w) in enumerate(zip(values, widths))]
        return "| " + " | ".join(padded) + " |"

    rule = [("-" * w) if i in texts else "-" * (w - 1) + ":" for i, w in enumerate(widths)]
    return "\n".join([line(cells[0]), line(rule), *map(line, cells[1:])])
