"""The selected studies, checked before the first job.

REQUIRED INPUTS: config/config.yaml (or --config 'studies=[...]') and the studies that it names
OUTPUTS: results/{study}/claims_registered.json
"""

from pathlib import Path

from rlvr.analysis.claims.registration import register_claims
from rlvr.artifacts.upgrade import upgrade_notice
from rlvr.planning import checks, costs, notices, partitions, plan

SELECTION = checked(plan.selection, config)
STUDIES = SELECTION.studies
if workflow.is_main_process:
    logger.info(f"Studies: {', '.join(STUDIES)}", extra={"studies": list(STUDIES)})
for study in STUDIES:
    plan_of(study)
    if notice := upgrade_notice(folder_of(study)):
        logger.warning(notice)
    if workflow.is_main_process:  # once where a run starts, not again in each of its jobs
        checked(checks.check_plan, plan_of(study))
        if workflow.resource_settings.nodes is None:  # with `--jobs`, jobs run elsewhere
            checked(checks.check_engines, plan_of(study))
        for notice in notices.notices(plan_of(study)):
            logger.warning(notice)
        for misfit in dict.fromkeys(costs.misfits(costs_of(study))):
            logger.warning(misfit)
        if PARTITIONS:
            checked(partitions.check_partitions, costs_of(study), Path(PARTITIONS))


# What decides a verdict is written down before the first training, so that a later change of it shows.
onstart:
    for study in {job.wildcards_dict.get("study") for job in workflow.dag.jobs} - {None}:
        checked(register_claims, folder_of(study).root)


if workflow.resource_settings.nodes is not None:
    # With `--jobs`, jobs run elsewhere: `cores: all` of the profile `default` would cut their threads to those of this
    # machine.
    workflow.global_resources["_cores"] = None
