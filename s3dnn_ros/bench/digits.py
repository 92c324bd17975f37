"""A small trained classifier and its images: handwritten digits that ship with scikit-learn.

For figures that need labels: what scaling does to accuracy, say.
"""

from __future__ import annotations

from pathlib import Path
from typing import Tuple

import numpy as np
import onnx
import yaml

from s3dnn_ros.errors import ParameterError

SIDE, CLASSES = 8, 10
# The images have values from 0 to 16.
_BRIGHTEST = 16
EPOCHS, BATCH, RATE, SEED = 20, 64, 2e-3, 0


def write_digits(folder: Path) -> Tuple[Path, float]:
    """Write images by class, a network trained on the first three quarters, its description.

    Returns the path of the description, and the network's accuracy on the last quarter. Raises
    ParameterError without torch or scikit-learn.
    """
    try:
        import torch
        from sklearn.datasets import load_digits
    except ImportError as error:
        raise ParameterError('bench', 'digits', f'this needs torch and scikit-learn ({error}); '
                             'run `pip install torch scikit-learn`') from error
    import cv2

    from s3dnn_ros.models.spec import load_spec
    from s3dnn_ros.models.torch_export import as_onnx
    from s3dnn_ros.scaling.frames import frames_for

    images, labels = load_digits(return_X_y=True)
    pixels = (images.reshape(-1, SIDE, SIDE) * (255 / _BRIGHTEST)).astype(np.uint8)
    for index, (image, label) in enumerate(zip(pixels, labels)):
        place = folder / 'images' / str(label)
        place.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(place / f'{index:04d}.png'), image)
    path = folder / 'digits.yaml'
    path.write_text(yaml.safe_dump({
        'description': 'handwritten digits', 'onnx': 'digits.onnx', 'width': SIDE,
        'height': SIDE, 'colour': 'rgb', 'mean': [0, 0, 0], 'std': [255, 255, 255],
        'resize': 'stretch', 'decoder': 'classification',
        'decoder_options': {'softmax': True},
        'labels': [str(digit) for digit in range(CLASSES)]}), encoding='utf-8')
    frames = frames_for(load_spec(path), folder / 'images')
    module = _trained(_planes(frames.training), frames.training_labels)
    with torch.no_grad():
        best = module(_planes(frames.held_out)).argmax(1).numpy()
    onnx.save(as_onnx(module, SIDE, 'logits'), str(folder / 'digits.onnx'))
    return path, float((best == frames.held_out_labels).mean())


def _planes(images: np.ndarray):
    import torch

    return torch.from_numpy(images).permute(0, 3, 1, 2).float() / 255


def _trained(images, labels: np.ndarray):
    """Return a network of five convolutions and two products that has learned the images."""
    import torch
    from torch import nn

    torch.manual_seed(SEED)
    layers = []
    for inputs, outputs in ((3, 32), (32, 32), (32, 64), (64, 64), (64, 64)):
        layers += [nn.Conv2d(inputs, outputs, 3, padding=1), nn.ReLU()]
        layers += [nn.MaxPool2d(2)] if len(layers) in (4, 11) else []
    module = nn.Sequential(*layers, nn.Flatten(), nn.Linear(64 * (SIDE // 4) ** 2, 64), nn.ReLU(),
                           nn.Linear(64, CLASSES))
    optimiser = torch.optim.Adam(module.parameters(), RATE)
    targets = torch.from_numpy(labels)
    for _ in range(EPOCHS):
        for chosen in torch.randperm(len(images)).split(BATCH):
            optimiser.zero_grad()
            nn.functional.cross_entropy(module(images[chosen]), targets[chosen]).backward()
            optimiser.step()
    return module.eval()
