"""What a failure says of itself, for a report and for a log."""

from dicomfs.errors import Failure, Problem


def test_a_failure_says_what_it_is_about_the_matter_and_the_reason() -> None:
    failure = Failure(Problem.SOURCE_UNREADABLE, name="a.iso", reason="bad sector")

    assert str(failure) == "a.iso cannot be read: bad sector"


def test_a_failure_says_its_other_facts_at_its_end() -> None:
    failure = Failure(Problem.TOO_MANY_SOURCES, count=20, most=10)

    assert str(failure) == "more sources than open files allow (count 20, most 10)"


def test_a_failure_says_in_which_source_it_was_found() -> None:
    failure = Failure(Problem.SOURCE_SILENT).found_in("discs.zip")

    assert str(failure) == "discs.zip: the medium does not answer"


def test_a_source_that_is_named_already_is_not_named_twice() -> None:
    failure = Failure(Problem.SOURCE_MISSING, name="/media/discs.zip")

    assert failure.found_in("discs.zip") is failure
