"""Patterns of texts in the configuration, and how messages put them in words."""

NAME = r"^[a-z0-9][a-z0-9._+-]*$"
SHA256 = r"^[0-9a-f]{64}$"
REVISION = r"^[0-9a-f]{40}$"
MODULE = r"^\w+(\.\w+)*$"

WORDS = {
    NAME: "a name has only small letters, digits and `. _ + -`, and begins with a letter or a digit",
    SHA256: "must be a SHA-256 checksum, 64 hexadecimal digits in small letters; `sha256sum FILE` prints it",
    REVISION: (
        "must be a full commit hash, 40 hexadecimal digits in small letters, because a branch or tag could "
        "change; `git ls-remote https://huggingface.co/OWNER/NAME` (`.../datasets/OWNER/NAME`) prints it"
    ),
    MODULE: "must be the last part of a module's name, such as `q_proj` or `self_attn.q_proj`",
}
"""Pattern -> what it asks for."""
