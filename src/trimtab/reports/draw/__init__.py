"""The parts that pages are drawn from: numbers as text, tables, figures."""
