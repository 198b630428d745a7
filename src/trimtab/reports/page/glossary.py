"""What the columns of every table mean; sections add the words of their own."""

GLOSSARY = (
    ("n", "Scored of planned completions. What is missing, failed or unparsed enters no mean."),
    (
        "mean [interval]",
        "Rates are in percent. Intervals are 95 %: Wilson's where values are 0 or 1 and every "
        "question is a cluster of its own, and over clusters where a rate is the same in all of "
        "them; otherwise percentiles of 2000 bootstrap resamples that draw whole clusters, such as "
        "categories.",
    ),
    (
        "Δ",
        "Mean difference over the questions that both conditions answered, with a clustered "
        "bootstrap interval. The test is exact McNemar for unclustered verdicts, else sign flips "
        "of whole clusters.",
    ),
    (
        "\N{DAGGER}",
        "The interval rests on fewer than 8 clusters and is too narrow: resampling so few does not "
        "show how much they differ.",
    ),
    (
        "*",
        "p < 0.05 after Holm's correction. One family holds all treatments times all effect "
        "metrics against one reference; the baseline, the prompt and random vectors are three; "
        "other readings of the same answers are in none. A "
        "star says that two conditions differ; whether random vectors of equal length do as much "
        "is in the table of random vectors.",
    ),
)
