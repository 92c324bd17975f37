"""Declarations as rclpy takes them: descriptors with ranges, and values of the right type."""

from __future__ import annotations

from rcl_interfaces.msg import FloatingPointRange, IntegerRange, ParameterDescriptor
from rclpy.parameter import Parameter

from s3dnn_ros.settings import kinds_with, nearest_name

_TYPES = {bool: Parameter.Type.BOOL, int: Parameter.Type.INTEGER, float: Parameter.Type.DOUBLE,
          str: Parameter.Type.STRING}
_TYPES_OF_LISTS = {str: Parameter.Type.STRING_ARRAY, float: Parameter.Type.DOUBLE_ARRAY}


def typed(declaration, value):
    """Return an rclpy Parameter of the declared type; raises ParameterError.

    Without a type of its own, an empty list becomes one of bytes.
    """
    value = declaration.convert(value)
    return Parameter(declaration.name, _type_of(declaration),
                     list(value) if declaration.type is tuple else value)


def given(declaration, override):
    """Return the value in an override, an rclpy Parameter; the default if there is none.

    rcl reads an empty list in a parameter file as a parameter without a value.
    """
    if override is None:
        return declaration.default
    return () if declaration.type is tuple and override.value is None else override.value


def descriptor(declaration):
    """Return the ParameterDescriptor, with the range where there is one."""
    made = ParameterDescriptor(
        type=_type_of(declaration).value, description=declaration.description,
        additional_constraints=f'Expects {declaration.expected}.'
        + ('' if declaration.live else ' Takes effect at the next configure.'),
        # else rclpy takes the type of an empty list for that of the parameter
        dynamic_typing=True)
    if declaration.low is not None and declaration.type is not tuple:
        if declaration.type is int:
            made.integer_range = [IntegerRange(from_value=declaration.low,
                                               to_value=declaration.high)]
        else:
            made.floating_point_range = [FloatingPointRange(from_value=float(declaration.low),
                                                            to_value=float(declaration.high))]
    return made


def _type_of(declaration):
    if declaration.type is tuple:
        return _TYPES_OF_LISTS[declaration.items]
    return _TYPES[declaration.type]


def refusal_of_unknown(name, own_kind, values, nodes_of):
    """Return why a node has no parameter of this name, and which node has it.

    Parameters
    ----------
    name : str
    own_kind : str
        The node's key in settings.NODES.
    values : mapping of str to value
        All parameters that the node has.
    nodes_of : callable
        Returns the full names of the nodes of a kind, at least one.

    """
    kinds = kinds_with(name)
    if kinds and own_kind not in kinds:
        return (f"parameter '{name}' belongs to the {' and the '.join(kinds)}: "
                f'ros2 param set {nodes_of(kinds[0])[0]} {name} VALUE')
    return f"parameter '{name}' is unknown; did you mean '{nearest_name(name, values)}'?"
