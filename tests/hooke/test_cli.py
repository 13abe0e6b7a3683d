"""The command line: help with examples, exit codes, one-line errors, tables also in a pipe."""

import csv
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from hooke.cli import app
from tests.small_index import PICTURES, image_id, shared_index

COMPARISONS = ("duplicates", "outliers", "similar-studies")
COMMANDS = ("index", "search", "complete", "similar", "combined", *COMPARISONS, "info", "why", "serve", "demo")
ONTOLOGY_COMMANDS = ("add", "list", "show")
CURATION_COMMANDS = ("unresolved", "conflicts", "accept")


@pytest.fixture(scope="module")
def index() -> Path:
    return shared_index()


def hooke(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments], env={"TERM": "dumb", "COLUMNS": "200"})


def process(*arguments: object) -> "subprocess.Popen[str]":
    command = [sys.executable, "-m", "hooke", *map(str, arguments)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


@pytest.mark.parametrize(
    "command",
    [
        *((command,) for command in COMMANDS),
        *(("ontologies", command) for command in ONTOLOGY_COMMANDS),
        *(("curation", command) for command in CURATION_COMMANDS),
    ],
)
def test_every_command_has_help_with_an_example(command: tuple[str, ...]) -> None:
    result = hooke(*command, "--help")
    assert result.exit_code == 0
    assert f"Example: hooke {' '.join(command)}" in " ".join(result.stdout.split())


def test_help_lists_every_command() -> None:
    shown = hooke("--help").stdout
    assert all(command in shown for command in (*COMMANDS, "ontologies", "curation"))


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["search", "--filter", "organsm=x"], 2, "did you mean organism"),
        (["complete", "m", "--field", "organsm"], 2, "did you mean organism"),
        (["complete", "m" * 501], 2, "500 characters"),
        (["complete", "m", "--limit", "101"], 2, "1 to 100"),
        (["search", "--filter", "organism"], 2, "FIELD=VALUE"),
        (["search", "--filter", "organism=NCBITaxon:96066"], 2, "NCBITaxon:9606"),
        (["search", "--facet", "organsm"], 2, "did you mean organism"),
        (["search", "p53 +/-", "--strict"], 2, "position 5"),
        (["search", "--limit", "10001"], 2, "10000"),
        (["search", "--cursor", "made-up"], 2, "cursor"),
        (["search", "--expand", "none,is_a"], 2, "expand"),
        (["search", "--not", "size_x>=3"], 2, "turn it around"),
        (["similar", "nowhere.png"], 1, "nowhere.png"),
        (["similar", "mice/plain.png", "-k", "0"], 2, "1 to 10000"),
        (["similar", "mice/plain.png", "--text", "qz*"], 2, "400"),
        (["similar", "mice/plain.png", "--exclude", "lab"], 2, "study, dataset or plate"),
        (["similar", "mice/plain.png", "--group", "lab"], 2, "group is study"),
        (["similar", "mice/plain.png", "nowhere.png"], 1, "nowhere.png"),
        (["combined", "mouse", "mice/plain.png", "--weight", "2"], 2, "from 0 to 1"),
        (["why", "nothing", "mouse"], 1, "nothing"),
        (["duplicates", "--threshold", "1.5"], 2, "at most 1"),
        (["duplicates", "--filter", "organsm=x"], 2, "did you mean organism"),
        (["outliers", "lost"], 2, "index its pixels"),
        (["outliers", "mice", "--neighbours", "0"], 2, "1 to 100"),
        (["similar-studies", "nowhere"], 1, "nowhere"),
        (["similar-studies", "idr9001", "--by", "look"], 2, "compare by meaning"),
        (["ontologies", "show", "UBERON:00009555"], 2, "UBERON:0000955"),
        (["curation", "unresolved", "--field", "organsm"], 2, "those are organism, "),
        (["curation", "conflicts", "--limit", "0"], 2, "1 to 10000"),
        (["curation", "accept", "nowhere.csv"], 1, "nowhere.csv"),
    ],
)
def test_an_error_is_one_line_with_its_exit_code(index: Path, arguments: list[str], code: int, message: str) -> None:
    result = hooke(*arguments, "--index", index)
    assert result.exit_code == code
    assert message in result.stderr
    assert result.stderr.startswith("error: ")
    assert result.stderr.count("\n") == 1
    assert result.stdout == ""


@pytest.mark.parametrize("command", [["search"], ["info"], ["similar", "a"], ["why", "a", "b"], ["ontologies", "list"]])
def test_an_unknown_index_says_how_to_make_one(tmp_path: Path, command: list[str]) -> None:
    result = hooke(*command, "--index", tmp_path / "none")
    assert result.exit_code == 1
    assert "hooke index" in result.stderr
    assert result.stderr.count("\n") == 1


def test_a_file_that_is_no_image_is_refused(index: Path, tmp_path: Path) -> None:
    file = tmp_path / "notes.png"
    file.write_text("notes")
    result = hooke("similar", file, "--index", index)
    assert (result.exit_code, result.stderr.count("\n")) == (2, 1)
    assert "notes.png" in result.stderr or "not a PNG" in result.stderr


def test_an_unknown_model_is_refused_with_near_names(index: Path) -> None:
    file = index.parent / "pictures" / "plain.png"
    result = hooke("similar", file, "--index", index, "--model", "resnet5")
    assert (result.exit_code, result.stderr.count("\n")) == (2, 1)
    assert "did you mean resnet" in result.stderr


def test_a_path_that_does_not_exist_cannot_be_indexed(tmp_path: Path) -> None:
    result = hooke("index", tmp_path / "missing", "--index", tmp_path / "ix")
    assert (result.exit_code, result.stderr.count("\n")) == (2, 1)
    assert "missing" in result.stderr
    assert not (tmp_path / "ix").exists()


def test_an_ontology_that_does_not_parse_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "bad.obo"
    file.write_text("[Term\nid")
    result = hooke("ontologies", "add", file, "--index", tmp_path / "ix")
    assert (result.exit_code, result.stderr.count("\n")) == (2, 1)
    assert "bad.obo" in result.stderr


def test_an_unknown_option_or_level_exits_2(index: Path) -> None:
    assert hooke("search", "--bogus", "--index", index).exit_code == 2
    assert hooke("search", "--level", "planet", "--index", index).exit_code == 2
    assert hooke("search").exit_code == 2


def test_similar_takes_a_file_or_an_id(index: Path) -> None:
    by_file = json.loads(hooke("similar", index.parent / "pictures/plain.png", "--index", index, "--json").stdout)
    by_id = json.loads(hooke("similar", image_id("plain.png"), "--index", index, "-k", "100", "--json").stdout)
    assert by_file["hits"][0]["id"] == image_id("plain.png")
    assert len(by_id["hits"]) == len(PICTURES) - 1
    keys = {"hits", "exact", "method", "candidates", "facets", "query", "space", "snapshot"}
    assert set(by_id) == keys | {"similar", "meaningful", "reranked", "views", "recall"}


def test_comparisons_print_tables_csv_and_json(index: Path) -> None:
    shown = hooke("duplicates", "light microscopy", "--not", "organism=human", "--threshold", "0.5", "--index", index)
    assert "'light microscopy' is FBbi:00000345" in shown.stdout
    assert "1 groups across studies, 0 within: 5 of 5 images" in shown.stdout
    rows = list(
        csv.DictReader(hooke("duplicates", "--csv", "--threshold", "0.5", "--index", index).stdout.splitlines())
    )
    assert {row["id"] for row in rows} == {f"{row[1]}/{row[0]}" for row in PICTURES}
    assert {(row["group"], row["kind"], row["across_studies"]) for row in rows} == {("1", "similar", "yes")}
    none = hooke("duplicates", "--threshold", "1", "--index", index)
    assert f"No near-duplicates among {len(PICTURES)} images (threshold 1)" in none.stdout
    assert "0 groups" not in none.stdout
    found = json.loads(hooke("duplicates", "--across-studies", "--json", "--index", index).stdout)
    assert (found["within"], found["candidates"]) == (0, len(PICTURES))

    assert "4 images of mice" in hooke("outliers", "mice", "--index", index).stdout
    assert len(json.loads(hooke("outliers", "mice", "--limit", "2", "--json", "--index", index).stdout)["hits"]) == 2
    assert "4 of 4 studies, by both" in hooke("similar-studies", "mice", "--index", index).stdout
    without = hooke("similar-studies", "idr9001", "--index", index).stdout
    assert "ranked by meaning alone" in without
    assert "confocal microscopy" in without


def test_why_prints_the_path_to_the_term(index: Path) -> None:
    shown = hooke("why", image_id("plain.png"), "brain", "--index", index).stdout
    assert "cerebral cortex" in shown
    assert "part_of brain" in shown


def test_why_says_which_part_a_record_lacks(index: Path) -> None:
    shown = hooke("why", "people/tag#1.png", "rodents AND brain", "--index", index)
    assert shown.exit_code == 1
    assert "does not match" in shown.stdout
    assert "NO   rodents\n" in shown.stdout
    assert "yes  brain\n" in shown.stdout
    told = json.loads(hooke("why", "people/tag#1.png", "rodents AND brain", "--index", index, "--json").stdout)
    assert [part["matched"] for part in told["whole"]["parts"]] == [False, True]


def test_a_search_is_sorted(index: Path) -> None:
    command = ("search", "--index", index, "--level", "image", "--sort", "-size", "--limit", "2", "--json")
    first = json.loads(hooke(*command).stdout)
    second = json.loads(hooke(*command, "--cursor", first["cursor"]).stdout)
    found = [hit["id"] for hit in (*first["hits"], *second["hits"])]
    whole = json.loads(hooke(*command[:-3], "--limit", "4", "--json").stdout)
    assert found == [hit["id"] for hit in whole["hits"]]
    assert hooke("search", "--index", index, "--sort", "newest").exit_code == 2


def test_info_says_what_the_index_holds(index: Path) -> None:
    info = json.loads(hooke("info", "--index", index, "--json").stdout)
    assert (info["studies"], info["images"], info["embedded"]) == (5, 42, 12)
    assert {"mentions", "unresolved", "ontologies", "space", "bytes", "snapshot"} <= set(info)
    shown = hooke("info", "--index", index).stdout
    assert "tf_efficientnet_lite0" in shown
    assert "fbbi" in shown


def test_tables_are_whole_in_a_pipe(index: Path) -> None:
    shown = hooke("search", "light microscopy", "--level", "image", "--facet", "organism", "--index", index)
    assert shown.exit_code == 0
    assert "8 found" in shown.stdout
    assert image_id("tag#1.png") in shown.stdout
    assert "NCBITaxon:9606" in shown.stdout
    assert "…" not in shown.stdout
    assert "\x1b" not in shown.stdout


def test_a_closed_pipe_is_no_traceback(index: Path) -> None:
    arguments = ("search", "--level", "image", "--limit", "10000", "--json", "--index", index)
    for _ in range(2):
        running = process(*arguments)
        assert running.stdout is not None
        assert running.stderr is not None
        running.stdout.readline()
        running.stdout.close()
        errors = running.stderr.read()
        running.stderr.close()
        assert running.wait(30) in (0, 1, -signal.SIGPIPE)
        assert errors == ""


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="a full device is Linux's")
def test_a_full_disk_is_one_line(index: Path) -> None:
    with open("/dev/full", "w") as full:
        command = [sys.executable, "-m", "hooke", "search", "mouse", "--json", "--index", str(index)]
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.splitlines()[0] == "error: No space left on device"
    assert "Traceback" not in done.stderr


def test_a_port_that_cannot_be_is_refused(index: Path) -> None:
    result = hooke("serve", "--index", index, "--port", "99999")
    assert result.exit_code == 2
    assert "65535" in result.stderr


def test_ctrl_c_stops_the_server_quietly(index: Path) -> None:
    running = process("serve", "--index", index, "--port", "0")
    assert running.stderr is not None
    seen = ""
    while "startup complete" not in seen:
        line = running.stderr.readline()
        assert line, seen
        seen += line
    os.kill(running.pid, signal.SIGINT)
    _, errors = running.communicate(timeout=30)
    assert "Traceback" not in errors
    assert running.returncode in (0, 130)


def test_ctrl_c_while_indexing_exits_130(tmp_path: Path) -> None:
    from tests.small_index import write_archive, write_ontologies

    paths = write_archive(tmp_path)
    ontologies = [option for file in write_ontologies(tmp_path) for option in ("--ontology", file)]
    running = process("index", *paths, *ontologies, "--index", tmp_path / "ix")
    deadline = time.monotonic() + 30
    while not (tmp_path / "ix" / "metadata.sqlite").exists() and time.monotonic() < deadline:
        time.sleep(0.005)
    os.kill(running.pid, signal.SIGINT)
    _, errors = running.communicate(timeout=60)
    assert running.returncode == 130
    assert "Traceback" not in errors
    assert "same command" in errors


def test_look_alikes_are_asked_for_with_options(index: Path) -> None:
    plain, spaced, yeast = (image_id(name) for name in ("plain.png", "a b.png", "yeast1.png"))
    options = ["--exclude", "study", "--group", "study", "--min-percentile", "0.1", "--facet", "organism"]
    result = hooke("similar", plain, spaced, "--unlike", yeast, *options, "--index", index)
    assert result.exit_code == 0
    assert "percentile" in result.stdout
    assert sum("people/" in line for line in result.stdout.splitlines()) == 1
    meant = hooke("similar", plain, "--semantic", "0.5", "--index", index)
    assert f"the nearest {len(PICTURES) - 1} ranked again" in meant.stdout
    best = hooke("similar", plain, "--unlike", yeast, "--examples", "best", "--index", index)
    assert best.exit_code == 0
    assert "percentile" not in best.stdout


def test_combined_says_the_parts_of_a_score(index: Path) -> None:
    plain = image_id("plain.png")
    ranks = hooke("combined", "mouse", plain, "-k", "4", "--index", index)
    assert "by reciprocal rank" in ranks.stdout
    weighed = hooke("combined", "mouse", plain, "--weight", "0.5", "--index", index, "--json")
    for hit in json.loads(weighed.stdout)["hits"]:
        assert hit["score"] == pytest.approx(hit["text_part"] + hit["look_part"])


@pytest.mark.parametrize("name", ["nothere.png", "/" + 300 * "a", "/not/here.png", "./not/here.png", "../here.png"])
def test_an_image_file_that_is_not_there_is_told_from_an_unknown_id(index: Path, name: str) -> None:
    missing = hooke("similar", name, "--index", index)
    assert missing.exit_code == 1
    assert "neither an image file here nor an indexed image's id" in missing.stderr


def test_the_worklist_goes_out_as_csv_and_comes_back_as_decisions(tmp_path: Path) -> None:
    from tests.waiting_index import MOUSE, build, filled, wells

    waiting = build(tmp_path)
    printed = hooke("curation", "unresolved", "--index", waiting, "--csv").stdout_bytes.decode()
    (tmp_path / "table.csv").write_text(filled(printed, {"Mus muscullus": MOUSE}), newline="")
    done = hooke("curation", "accept", tmp_path / "table.csv", "--index", waiting)
    assert (done.exit_code, done.stdout.splitlines()[0][:22]) == (0, "1 decisions, 1 of them")
    shown = hooke("curation", "unresolved", "--index", waiting).stdout
    assert "4 of 4" in shown
    assert f"{MOUSE} (Mus musculus) 0.48" in shown
    assert hooke("index", tmp_path / "archive", "--index", waiting, "--no-embed").exit_code == 0
    assert wells(waiting, f"organism:{MOUSE}") == {1, 2, 3, 4, 5}
    left = json.loads(hooke("curation", "unresolved", "--index", waiting, "--json").stdout)
    assert (left["total"], "Mus muscullus" in str(left)) == (3, False)
    assert "id_label_conflict" in hooke("curation", "conflicts", "--index", waiting, "--field", "organism").stdout
    wrong = tmp_path / "wrong.csv"
    wrong.write_text("field,text,ids,decision\norganism,unicorn,NCBITaxon:424242,NCBITaxon:96066\n")
    refused = hooke("curation", "accept", wrong, "--index", waiting)
    assert (refused.exit_code, refused.stderr.count("\n")) == (2, 1)
    assert "line 2: no term 'NCBITaxon:96066'" in refused.stderr
