"""Questions, problems and files of data in one form: what a task of your own builds on."""
