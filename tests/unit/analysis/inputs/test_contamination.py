from rlvr.analysis.inputs.contamination import read_contamination
from rlvr.analysis.inputs.groups import read_groups
from rlvr.analysis.inputs.runs import planned_runs
from rlvr.config.resolved import StudyManifest, read_config
from tests.helpers.analysis_tree import Results, fails


def test_contamination_that_does_not_fit_the_study_is_refused(results: Results) -> None:
    path = results.contaminate("sums-1", "sums-99")
    fails(results, f"{path}, line 3", "'sums-99'", "'sums-test'")
    path.write_text("dataset,problem\nsums-test,sums-1\n")
    fails(results, path, "'problem_id' is missing")
    path.write_text("")
    fails(results, path, "not a readable CSV")
    path.unlink()
    fails(results, path, "not found")


def test_problems_are_flagged_in_the_order_of_the_scores(results: Results) -> None:
    path = results.contaminate("products-5", "products-0")
    results.aggregate()
    study = read_config(results.folder.manifest, StudyManifest)
    contamination = read_contamination(
        path, study, read_groups(study, results.folder, planned_runs(study, results.folder))
    )
    assert contamination["products"].tolist() == [True, False, False, False, False, True]
    assert not contamination["sums"].any()
