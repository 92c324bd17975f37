"""What a figure was measured on and with; goes into every result file."""

from __future__ import annotations

from s3dnn_ros.base.environment import environment

__all__ = ['engine_record', 'environment']


def engine_record(engine):
    """Return what results say of an engine, ready for JSON; `build` is what it heeds of that."""
    return {'device': engine.device, 'engine': dict(engine.versions),
            'build': {name: getattr(engine.options, name) for name in engine.heeds},
            'gates': getattr(engine, 'gated', False)}
