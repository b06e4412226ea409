"""Keep the tests of the claims as they are before the first training, so that a later change shows."""

from pathlib import Path

from rlvr.artifacts import Registration, StudyFolder, read_record, write_record
from rlvr.config.claims import Claim, Claims, load_claims
from rlvr.files import content_hash, sha256_of


def register_claims(results: Path, config: Path = Path("config")) -> None:
    """Write down the tests of all claims, unless that has been done for this study.

    Args:
        results: folder of the study.
        config: folder of the configuration.

    Raises:
        UserError: the claims are wrong.
    """
    folder = StudyFolder(results)
    if folder.registration.exists() or not (config / "claims").exists():
        return
    claims = load_claims(config)
    registration = Registration(
        file_sha256=content_hash(
            {name: sha256_of(config / "claims" / f"{name}.yaml") for name in claims.files}
        ),
        after_results=any(results.glob("runs/*/run.json")),
        tests={claim.id: claims.fixed_in_advance(claim) for claim in claims.claims},
    )
    write_record(folder.registration, registration)


def registered(claim: Claim, claims: Claims, folder: StudyFolder) -> str:
    """Return whether the test of a claim is the one that was registered: `ClaimRecord.registered`."""
    if not folder.registration.exists():
        return "unregistered"
    registration = read_record(folder.registration, Registration)
    if registration.after_results:
        return "unregistered"
    if claim.id not in registration.tests:
        return "added"
    unchanged = registration.tests[claim.id] == claims.fixed_in_advance(claim)
    return "unchanged" if unchanged else "changed"
