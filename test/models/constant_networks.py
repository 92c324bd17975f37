"""Networks whose outputs are constant, as files."""

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper


def write_constant(path, outputs, side=(32, 64), *, channels_last=False, more=(), batch='N',
                   kind=TensorProto.FLOAT, ir_version=8, **metadata):
    """Write a network and return its path.

    `outputs` are arrays (1, ...) by name, `side` height and width of its image, `more` name and
    shape of inputs beside the image, `kind` the type of the image.
    """
    nodes = [helper.make_node('Cast', ['images'], ['floats'], to=TensorProto.FLOAT),
             helper.make_node('ReduceMean', ['floats'], ['mean'], axes=[1, 2, 3], keepdims=0),
             helper.make_node('Mul', ['mean', 'zero'], ['nothing'])]
    constants = {'zero': np.zeros(1, np.float32)}
    for name, array in outputs.items():
        nodes += [helper.make_node('Unsqueeze', ['nothing', f'{name}_axes'], [f'{name}_flat']),
                  helper.make_node('Add', [f'{name}_flat', f'{name}_values'], [name])]
        constants[f'{name}_values'] = np.float32(array)
        constants[f'{name}_axes'] = np.arange(1, np.ndim(array))
    for name, _ in more:
        nodes.append(helper.make_node('Cast', [name], [f'{name}_read'], to=TensorProto.FLOAT))
    height, width = side
    shape = [batch, height, width, 3] if channels_last else [batch, 3, height, width]
    model = helper.make_model(helper.make_graph(
        nodes, 'constant',
        [helper.make_tensor_value_info('images', kind, shape),
         *(helper.make_tensor_value_info(name, TensorProto.INT64, sizes)
           for name, sizes in more)],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, [batch, *np.shape(array)[1:]])
         for name, array in outputs.items()],
        [numpy_helper.from_array(array, name) for name, array in constants.items()]),
        ir_version=ir_version, opset_imports=[helper.make_opsetid('', 13)])
    helper.set_model_props(model, metadata)
    onnx.save(model, str(path))
    return path
