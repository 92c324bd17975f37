"""TensorRT's plans on disk, each with a header that says what it is of and whether it is whole.

A plan fits one network, one version of TensorRT and one kind of GPU. What was asked for makes
its file's name, so that what a newer TensorRT builds replaces what an older one built. What
TensorRT refuses to build is kept in the same way, so that it is not tried at every start.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import struct
from pathlib import Path
from typing import Any, Callable, Dict, Mapping, Tuple

from s3dnn_ros.base.cache import cache_dir, write_whole
from s3dnn_ros.base.content import Fields, json_of
from s3dnn_ros.engines.tensorrt.loaded_engine import DTYPES, Tensor
from s3dnn_ros.errors import BuildError, DocumentError, shown

MAGIC = b's3dnnPLN'
# Grows whenever plans are built in another way, so that caches are renewed.
FORMAT = 3
_LENGTH = struct.Struct('<Q')
# No network has more layers, no tensor more dimensions or a larger size.
_MOST_LAYERS, _MOST_AXES, _MOST = 1_000_000, 8, 2**31 - 1
_LONGEST_S = 1e9


@dataclasses.dataclass(frozen=True)
class PlanKey:
    """What a plan was built from, how, and where.

    `segment_sha256` is that of the ONNX that was built: it has the cuts and the preprocessing
    in it. `fewest`, `optimum` and `most` are images of a batch, `profiles` how many copies of
    that range there are, `half` the tensors at cuts that are float16, `channels_last` those that
    lie in memory with their channels last, `dla` the core or -1, `calibration_sha256` empty
    but for int8, and `sms` the multiprocessors of the device that it is for, or 0 for all.
    """

    model: str
    segment: int
    variant: int
    segment_sha256: str
    precision: str
    fewest: int
    optimum: int
    most: int
    profiles: int
    half: Tuple[str, ...]
    channels_last: Tuple[str, ...]
    dla: int
    workspace_mb: int
    tactics: Tuple[str, ...]
    optimization_level: int
    calibration_sha256: str
    sms: int
    tensorrt: str
    compute_capability: str

    @property
    def name(self) -> str:
        """Return what errors call it."""
        coarser = f', variant {self.variant}' if self.variant else ''
        return f'{self.model}, segment {self.segment}{coarser}'


@dataclasses.dataclass(frozen=True)
class Plan:
    """A plan as TensorRT wrote it, its tensors, and the layers that a DLA leaves to the GPU."""

    key: PlanKey
    content: bytes
    tensors: Tuple[Tensor, ...]
    layers: int = 0
    on_gpu: Tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True)
class Refusal:
    """Why there can be no plan; `limit_s` is what its build took more than, 0 if not for that."""

    key: PlanKey
    sentence: str
    limit_s: float = 0.0


def plans_dir(model: str) -> Path:
    """Return where the plans of a model are kept."""
    return cache_dir() / 'tensorrt' / model


def plan_path(key: PlanKey) -> Path:
    """Return where a plan is kept; the same for every TensorRT and GPU."""
    wanted = _values(key)
    del wanted['tensorrt'], wanted['compute_capability']
    digest = hashlib.sha256(json.dumps(wanted, sort_keys=True).encode()).hexdigest()
    name = f'{key.segment:03d}_{key.variant}_{key.precision}_b{key.most}_{digest[:12]}.plan'
    return plans_dir(key.model) / name


def write_plan(plan: Plan) -> None:
    """Keep a plan; readers see the old one or all of the new. Raises OSError."""
    write_sealed(plan_path(plan.key), {
        'key': _values(plan.key),
        'tensors': [dataclasses.asdict(tensor) for tensor in plan.tensors],
        'layers': plan.layers, 'on_gpu': plan.on_gpu}, plan.content)


def read_plan(key: PlanKey) -> Plan:
    """Return the plan for a key.

    Raises FileNotFoundError if there is none, BuildError naming the file if it is not whole or
    was built for something else.
    """
    path = plan_path(key)

    def plan(header, content):
        _compare(path, header.mapping('key'), _values(key))
        return Plan(key, content, tuple(map(_tensor, header.parts('tensors'))),
                    header.whole('layers', 0, _MOST_LAYERS), header.texts('on_gpu'))
    return read_sealed(path, plan)


def refusal_path(key: PlanKey) -> Path:
    """Return where it is kept that there can be no plan: beside the place of that."""
    return plan_path(key).with_suffix('.refused')


def write_refusal(refusal: Refusal) -> None:
    """Keep why there can be no plan. Raises OSError."""
    write_sealed(refusal_path(refusal.key), {
        'key': _values(refusal.key), 'sentence': refusal.sentence, 'limit_s': refusal.limit_s})


def forget_refusal(key: PlanKey) -> None:
    """Let there be a plan after all. Raises OSError."""
    refusal_path(key).unlink(missing_ok=True)


def read_refusal(key: PlanKey) -> Refusal:
    """Return why there can be no plan for a key; raises what `read_plan` does."""
    path = refusal_path(key)

    def refusal(header, _):
        _compare(path, header.mapping('key'), _values(key))
        return Refusal(key, header.text('sentence'), header.number('limit_s', 0.0, _LONGEST_S))
    return read_sealed(path, refusal)


def write_sealed(path: Path, header: Mapping[str, Any], content: bytes = b'') -> None:
    """Write a file, whole, with a hash by which `read_sealed` knows it. Raises OSError."""
    head = json.dumps({'format': FORMAT, **header}).encode()
    body = b''.join((_LENGTH.pack(len(head)), head, content))
    write_whole(path, MAGIC + hashlib.sha256(body).digest() + body)


def read_sealed(path: Path, made_of: Callable[[Fields, bytes], Any]) -> Any:
    """Return what is made of a file's header and content; that may raise DocumentError.

    Raises FileNotFoundError if there is none, BuildError naming the file if it is not whole.
    """
    try:
        header, content = _parts(path.read_bytes())
        found = header.value('format')
        if found != FORMAT:
            raise BuildError(path, f'has the format {shown(found)}, this is {FORMAT}')
        return made_of(header, content)
    except FileNotFoundError:
        raise
    except OSError as error:
        raise BuildError(path, f'cannot be read ({error.strerror})') from error
    except (DocumentError, struct.error) as error:
        raise BuildError(path, f'is not whole ({error})') from error


def _parts(content: bytes) -> Tuple[Fields, bytes]:
    """Return a file's header and content; raises DocumentError or struct.error."""
    if not content.startswith(MAGIC):
        raise DocumentError('it does not begin like one')
    begin = len(MAGIC) + hashlib.sha256().digest_size
    body = content[begin:]
    if hashlib.sha256(body).digest() != content[len(MAGIC):begin]:
        raise DocumentError('its hash is another')
    end = _LENGTH.size + _LENGTH.unpack_from(body)[0]
    return Fields(json_of(body[_LENGTH.size:end])), body[end:]


def _tensor(fields: Fields) -> Tensor:
    """Return a tensor; raises DocumentError for one that TensorRT does not have."""
    dtype = fields.text('dtype')
    if dtype not in DTYPES:
        fields.fail('dtype', f'one of {", ".join(DTYPES)}')
    shape = fields.wholes('shape', -1, _MOST)
    if len(shape) > _MOST_AXES:
        fields.fail('shape', f'at most {_MOST_AXES} sizes')
    return Tensor(fields.text('name'), fields.truth('is_input'), dtype, shape,
                  fields.truth('channels_last'))


def _compare(path, found: Dict[str, Any], wanted: Dict[str, Any]) -> None:
    for name, value in wanted.items():
        if found.get(name) != value:
            raise BuildError(path, f'was built for {name} {_said(found.get(name))}, this is '
                                   f'{value}')


def _said(value: Any) -> str:
    return value[:80] if isinstance(value, str) else shown(value)


def _values(key: PlanKey) -> Dict[str, Any]:
    """Return a key as JSON gives it back."""
    return json.loads(json.dumps(dataclasses.asdict(key)))
