"""A node's parameters: declared from its settings class, checked as a set, changed as a set."""

from __future__ import annotations

import contextlib

from rcl_interfaces.msg import SetParametersResult

from s3dnn_ros.errors import S3dnnError
from s3dnn_ros.nodes.ros_parameters import descriptor, given, refusal_of_unknown, typed
from s3dnn_ros.settings import NODES, instances_of_others, unknown_names
from s3dnn_ros.settings.parameter_files import ignored
from s3dnn_ros.settings.parameters import (
    declarations,
    differences,
    name_lists,
    preset_in,
    read,
    values_of,
)


class SettingsNode:
    """Mixin for an rclpy node whose parameters are one settings object.

    The node has `apply(settings)`, which takes changed live settings over or raises S3dnnError.

    Attributes
    ----------
    settings : object
        Of the class that settings.NODES has for this kind of node.
    is_configured : bool
        Whether parameters that are not live must stay as they are.

    """

    is_configured = False

    def declare_settings(self, kind):
        """Declare all parameters of a kind of node, and read them; raises ParameterError."""
        self._kind_name, self._kind = kind, NODES[kind]
        self._declarations = {}
        self._changing = False      # parameters follow settings that were checked already
        self._warn_of_unknown()
        self.settings = self.read_settings()
        self.add_on_set_parameters_callback(self._on_set)

    def warn_of_files(self, paths):
        """Warn of parameter files with a section that is meant for this node and ignored."""
        for path in paths:
            sentence = ignored(path, self.get_fully_qualified_name())
            if sentence:
                self.get_logger().warning(sentence)

    def follow_cameras(self, old, new):
        """Take note that there are other cameras now; both are mappings by name."""

    def set_parameters(self, parameter_list):
        """Set parameters one by one; returns a SetParametersResult for each."""
        return [self.set_parameters_atomically([item]) for item in parameter_list]

    def set_parameters_atomically(self, parameter_list):
        """Set parameters as a set; a refusal is our sentence instead of rclpy's.

        rclpy's service calls this. rclpy looks for unknown names and at ranges before it asks
        callbacks, and its answer tells neither the parameter's node nor always its range.
        """
        for item in parameter_list:
            if not self.has_parameter(item.name):
                return SetParametersResult(successful=False, reason=refusal_of_unknown(
                    item.name, self._kind_name, self._values(), self._nodes_of))
        try:
            parameters = [self._checked(item) for item in parameter_list]
        except S3dnnError as error:
            return SetParametersResult(successful=False, reason=str(error))
        return super().set_parameters_atomically(parameters)

    def _checked(self, item):
        """Return a parameter in its declared type; raises ParameterError."""
        declaration = self._declarations.get(item.name)
        if declaration is None:
            return item     # one of rclpy's own
        # an empty list arrives in whatever type its sender guesses
        return typed(declaration, list(item.value) if _is_list(item.value) else item.value)

    def _nodes_of(self, kind):
        """Return the full names of the nodes of a kind in our namespace; as usual if none."""
        own = self.get_namespace()
        found = sorted(name for name, namespace in self.get_node_names_and_namespaces()
                       if namespace == own and name.startswith(kind))
        return [f'{own.rstrip("/")}/{name}' for name in found or [kind]]

    def change(self, values):
        """Change parameters, by flat name, also such as `ros2 param set` cannot change meanwhile.

        A name that a list of names gets or loses brings its own parameters, or takes them along.
        Raises S3dnnError, and changes nothing, for what cannot be used.
        """
        settings = self.changed(values)
        if self.is_configured:
            self.apply(settings)
        self.follow_cameras(self.settings.cameras, settings.cameras)
        self.settings = settings
        with self._checked_already():
            self._follow(values_of(settings))

    def changed(self, values):
        """Return the settings with parameters changed, by flat name; raises ParameterError."""
        return read(self._kind, {**self._values(), **values})

    def _follow(self, values):
        """Make the parameters agree with the settings' flat values."""
        names = {item.name: values[item.name] for item in name_lists(self._kind)}
        known = [*name_lists(self._kind), *declarations(self._kind, names, self._preset())]
        for declaration in known:
            self._declare(declaration, values[declaration.name])
        for name in self._declarations.keys() - values.keys():
            self.undeclare_parameter(name)
            del self._declarations[name]
        for item in known:
            if item.convert(self._value(item.name)) != values[item.name]:
                super().set_parameters_atomically([typed(item, values[item.name])])

    @contextlib.contextmanager
    def _checked_already(self):
        """Take parameters over as they are: they agree with settings that were checked."""
        self._changing = True
        try:
            yield
        finally:
            self._changing = False

    def _declare(self, declaration, value):
        if self.has_parameter(declaration.name):
            return
        parameter = typed(declaration, value)
        self.declare_parameter(parameter.name, parameter.value, descriptor(declaration),
                               ignore_override=True)
        self._declarations[declaration.name] = declaration
        if parameter.value == []:
            # rclpy took it for a list of bytes
            super().set_parameters_atomically([parameter])

    def read_settings(self):
        """Return the settings that the parameters make now; raises ParameterError."""
        for declaration in name_lists(self._kind):
            self._declare(declaration, self._given(declaration))
        names = {item.name: self._value(item.name) for item in name_lists(self._kind)}
        known = list(declarations(self._kind, names, self._preset()))
        for declaration in known:
            self._declare(declaration, self._given(declaration))
        followers = [item for item in known if self._follows_preset(item)]
        # what cannot be used is refused before any parameter follows
        settings = read(self._kind, {
            **self._values(), **{item.name: item.default for item in followers}})
        self._declarations.update((item.name, item) for item in known)
        with self._checked_already():
            for item in followers:
                super().set_parameters_atomically([typed(item, item.default)])
        return settings

    def _preset(self):
        """Return the preset that holds, also before it is declared."""
        override = self._parameter_overrides.get('preset')
        given_values = {} if override is None else {'preset': override.value}
        return preset_in(self._kind, {**given_values, **self._values()})

    def _follows_preset(self, declaration):
        """Tell whether a parameter has another preset's default still, which nobody has set."""
        old = self._declarations[declaration.name]
        return (declaration.default != old.default
                and declaration.name not in self._parameter_overrides
                and old.convert(self._value(old.name)) == old.default)

    def _given(self, declaration):
        return given(declaration, self._parameter_overrides.get(declaration.name))

    def _value(self, name):
        value = self.get_parameter(name).value
        return list(value) if _is_list(value) else value

    def _values(self):
        return {name: self._value(name) for name in self._parameters}

    def _warn_of_unknown(self):
        overrides = {name: item.value for name, item in self._parameter_overrides.items()}
        for name, nearest in unknown_names(overrides).items():
            self.get_logger().warning(
                f"parameter '{name}' is unknown and has no effect; did you mean '{nearest}'?")
        others = instances_of_others(overrides)
        if others:
            self.get_logger().info(f'instances that have parameters and are not in instance_names '
                                   f'are left to other nodes: {", ".join(others)}')

    def _on_set(self, parameters):
        if self._changing:
            return SetParametersResult(successful=True)
        merged = dict(self._values(), **{item.name: item.value for item in parameters})
        try:
            settings = read(self._kind, merged)
            if self.is_configured:
                frozen = [name for name, live in differences(self.settings, settings).items()
                          if not live]
                if frozen:
                    return SetParametersResult(
                        successful=False,
                        reason=f"parameter '{frozen[0]}' takes effect at configure; deactivate "
                               'and clean the node up first')
                self.apply(settings)
                self.settings = settings
        except S3dnnError as error:
            return SetParametersResult(successful=False, reason=str(error))
        return SetParametersResult(successful=True)


def _is_list(value):
    return value is not None and not isinstance(value, (str, bool, int, float))
