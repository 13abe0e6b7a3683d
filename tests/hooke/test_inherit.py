"""What an image has from its dataset and study: the nearest one that speaks of a field is believed, prose adds up."""

from hooke.inherit import effective_values, image_values, inherited_values, overrides, study_values
from hooke.model import Dataset, Image, Mention, Method, Study, Value

MICE, MEN = Value("organism", "Mus musculus"), Value("organism", "Homo sapiens")
CONFOCAL, YEAR = Value("imaging_method", "confocal microscopy"), Value("year", "2020")
PROSE, OTHER_PROSE = Value("description", "A study."), Value("description", "An image.")
STUDY = Study("s", "Mice and men", (MICE, MEN, YEAR, CONFOCAL, PROSE), (Dataset("m", (MICE,)), Dataset("h", (MEN,))))


def image(*values: Value, dataset: str | None = None) -> Image:
    return Image("s/1", "s", "One", dataset, values)


def effective(of: Image) -> tuple[Value, ...]:
    return effective_values(image_values(of), inherited_values(STUDY, of.dataset))


def organisms(of: Image) -> list[str]:
    return [value.text for value in effective(of) if value.field == "organism"]


def test_an_image_has_what_its_study_says() -> None:
    assert {YEAR, CONFOCAL, PROSE} <= set(effective(image()))


def test_a_dataset_keeps_what_belongs_to_other_datasets_out() -> None:
    assert organisms(image(dataset="m")) == ["Mus musculus"]
    assert organisms(image(dataset="h")) == ["Homo sapiens"]


def test_an_image_in_no_dataset_has_nothing_of_the_datasets() -> None:
    assert organisms(image()) == []


def test_an_images_own_value_wins_over_dataset_and_study() -> None:
    rat = Value("organism", "Rattus norvegicus")
    assert organisms(image(rat, dataset="m")) == ["Rattus norvegicus"]
    assert overrides((rat, OTHER_PROSE)) == {"organism"}


def test_prose_adds_up() -> None:
    texts = [value.text for value in effective(image(OTHER_PROSE)) if value.field == "description"]
    assert texts == ["An image.", "A study."]
    titles = [value.text for value in effective(image()) if value.field == "title"]
    assert titles == ["One", "Mice and men"]


def test_a_record_has_its_title_id_and_dataset_among_its_values() -> None:
    assert study_values(STUDY)[:2] == (Value("title", "Mice and men"), Value("id", "s"))
    assert image_values(image(dataset="m")) == (Value("title", "One"), Value("id", "s/1"), Value("dataset", "m"))


def test_what_was_found_in_some_images_of_a_study_or_dataset_is_not_said_of_the_others() -> None:
    found = Value("phenotype", "elongated cell")
    study = Study("S-1", "A screen", (found, MICE), datasets=(Dataset("plate", (found,)),))
    assert found in study_values(study)
    assert all(value.field != "phenotype" for value in inherited_values(study, "plate"))
    own = image_values(Image("S-1/a", "S-1", "a", values=(found,)))
    assert found in effective_values(own, inherited_values(study, None))


def from_text(field: str, words: str) -> Value:
    mention = Mention(field, words, "T:1", words, Method.TEXT, 0.7, source="description", start=0)
    return Value(field, words, (), (mention,))


def test_what_prose_names_is_inherited_where_no_submitter_speaks() -> None:
    brain, rat = from_text("anatomy", "brain"), from_text("organism", "rat")
    study = Study("s", "Mice and men", (*STUDY.values, brain, rat), STUDY.datasets)
    inherited = inherited_values(study, "m")
    assert brain in inherited
    assert rat not in inherited
    assert rat not in inherited_values(study, None)  # though the organisms are of datasets that the image is not in


def test_what_a_text_is_about_is_inherited_by_no_image() -> None:
    brain, mitosis = from_text("anatomy", "brain"), from_text("biological_process", "mitosis")
    stated = Value("biological_process", "apoptosis")
    assert inherited_values(Study("S1", "t", (brain, mitosis)), None) == (Value("title", "t"), brain)
    assert stated in inherited_values(Study("S1", "t", (stated,)), None)


def test_what_prose_names_silences_nothing() -> None:
    men, rat = Value("organism", "Homo sapiens"), from_text("organism", "rat")
    assert overrides((rat, MICE)) == {"organism"}
    assert overrides((rat,)) == frozenset()
    assert effective_values((rat,), (men,)) == (rat, men)
    assert effective_values((MICE,), (rat, men)) == (MICE,)


def test_a_text_of_one_dataset_is_not_anothers() -> None:
    brain = from_text("anatomy", "brain")
    study = Study("s", "t", (brain,), (Dataset("a", (brain,)), Dataset("b")))
    assert brain in inherited_values(study, "a")
    assert brain not in inherited_values(study, "b")
