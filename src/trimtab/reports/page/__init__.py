"""The report as a page, as Markdown, in a terminal and as ``summary.json``."""
