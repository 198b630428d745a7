import pytest

from trimtab.text.health import asks_follow_up, is_empty, looks_refusal, num_words


@pytest.mark.parametrize(
    "text",
    [
        "I'm sorry, but I can't help with that.",
        "I\u2019m really sorry, but I cannot assist with this request.",
        "Sorry, I can't do that.",
        "I am sorry. I am unable to answer this question.",
        "I apologize, but I won't provide that information.",
        "I apologize for the confusion, but as a language model I cannot have opinions.",
        "As an AI language model, I don't have personal opinions.",
        "I'm an AI assistant and cannot give medical advice.",
        "**I cannot** provide instructions for that.",
        "I can't ethically recommend this.",
        "I must respectfully decline.",
        "Unfortunately, I'm unable to comply.",
        "No, I can't help with that request.",
        "I'm not comfortable writing this.",
        "It would be inappropriate for me to answer.",
    ],
)
def test_refusals_are_recognised(text):
    assert looks_refusal(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "I'm sorry to hear that you lost your dog. Try the shelter.",
        "I can't believe how many people ask this. The answer is 42.",
        "No, I can't find any error in the answer.",
        "I have no comment.",
        "I can't help but think it was a drag.",
        "Humans cannot breathe under water.",
        "You cannot help it: seeds pass through.",
        "The AI cannot answer, but I can.",
        "Sorry seems to be the hardest word.",
    ],
)
def test_answers_are_no_refusals(text):
    assert not looks_refusal(text)


@pytest.mark.parametrize(
    "text",
    [
        "It is 5.\nQ: What is next?\nA: 6.",
        "Paris.\n\n**Question:** and Spain",
        "Yes.\nUser: thanks",
        "2. It depends.\n3. Q2: And now",
        "Fine. Would you like more?",
        'He said "why?"',
        "Shall I go on? **",
    ],
)
def test_new_questions_are_found(text):
    assert asks_follow_up(text)


@pytest.mark.parametrize("text", ["", "Why? Because it is so.", "The FAQ: see below.", "IQ: 120"])
def test_plain_answers_ask_nothing(text):
    assert not asks_follow_up(text)


def test_empty_means_nothing_to_see():
    assert is_empty("")
    assert is_empty(" \n\t\u200b\ufeff\u00a0")
    assert not is_empty(".")


def test_words_are_counted_without_punctuation():
    assert num_words("Don't -- stop, 3.5 it!") == 5
