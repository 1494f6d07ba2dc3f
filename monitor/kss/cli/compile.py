"""kss compile"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from kss.cli import common, options


def compile(
    file: options.Policy,
    output: Annotated[
        Path, typer.Option("-o", metavar="FILE", help="The policy.bin, or C header, to write.")
    ],
    include: options.Include = None,
    stub: options.Stub = False,
    define: options.Define = None,
    max_sids: options.MaxSids = options.MAX_SIDS,
    as_json: options.Json = False,
) -> int:
    """Compile a policy to policy.bin, which the policy VM verifies and runs.

    The same files give the same bytes. With --stub, classes of an SDK whose files are not at hand
    have no endpoints: messages of their own interfaces are denied, and so is whatever a rule judges
    that cannot be checked without them. Each such rule is named on stderr. What they ask of other
    classes is judged like anybody's requests.

    A FILE that ends in .h becomes a C header for programs that link libkss: the same bytes as an
    array, numbers of classes, and the names of rules. All names in it begin with that of the file.
    Beside any other FILE its names are written, rules with their places, to a file that ends in
    .json: khs run --policy-at and kss verify look there.

        kss compile security.psl -I interfaces -o policy.bin
        kss compile security.psl -I interfaces -o policy.h
        kss compile security.psl -I resources --stub -o policy.bin --json
    """
    import hashlib
    import json

    from kss.cli import inputs
    from kss.compiler import compile_policy
    from kss.embed import header
    from kss.names import policy_map
    from kss.vm import Vm

    policy = inputs.policy(file, include, define, stub)
    common.tell_findings(policy.warnings)
    data = compile_policy(policy.tree, max_sids=max_sids)
    state = len(Vm(data).snapshot())
    names = _names_file(output)
    if output.suffix == ".h":
        _write(output, header(policy, data, output.stem).encode())
    else:
        _write(output, data)
    if names:
        table = policy_map(output.stem, policy, data, file.parent)
        _write(names, json.dumps(table, indent=1).encode() + b"\n")
    digest = hashlib.sha256(data).hexdigest()
    if as_json:
        told = {"policy": str(output), "bytes": len(data), "state_bytes": state, "sha256": digest}
        common.print_json({**told, "names": str(names) if names else None})
    else:
        print(f"{output}: {len(data)} bytes, {state} bytes of state, sha256 {digest}")
    return common.OK


def _names_file(output: Path) -> Path | None:
    """Where the names go, None if nowhere: a header has them in it, a device has nothing beside."""
    from kss.compiled import names_file, read_names

    if output.suffix == ".json":
        raise common.BadInputError(f"{output}: a policy ends in .bin; its names go to the .json")
    if output.suffix == ".h" or (output.exists() and not output.is_file()):
        return None
    names = names_file(output)
    if names.exists() and read_names(names) is None:
        message = f"its names would go to {names}, which is another file"
        raise common.BadInputError(f"{message}\n  help: call the policy otherwise")
    return names


def _write(path: Path, content: bytes) -> None:
    try:
        path.write_bytes(content)
    except OSError as error:
        raise common.BadInputError(f"cannot write {path}: {error.strerror or error}") from None
