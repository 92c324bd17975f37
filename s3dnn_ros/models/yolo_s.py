"""A detector of the size of YOLOv5s and YOLOv8s as a torch module, without trained weights.

Only `torch_export` imports this module, because it needs torch.
"""

from __future__ import annotations

import math

import torch
from torch import nn

CLASSES = 80
STRIDES = (8, 16, 32)
# An untrained detector should find next to nothing, as a trained one does in most cells.
_PRIOR = 0.01


def _conv(inputs: int, outputs: int, kernel: int = 1, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, bias=False),
        nn.BatchNorm2d(outputs),
        nn.SiLU(),
    )


class Residual(nn.Module):
    """1 × 1 and 3 × 3 convolutions, beside a shortcut if asked."""

    def __init__(self, channels: int, shortcut: bool):
        super().__init__()
        self.branch = nn.Sequential(_conv(channels, channels), _conv(channels, channels, 3))
        self.shortcut = shortcut

    def forward(self, x):
        """Return a tensor of the same shape."""
        return x + self.branch(x) if self.shortcut else self.branch(x)


class CrossStage(nn.Module):
    """C3: half of the channels go through residual blocks, the other half around them."""

    def __init__(self, inputs: int, outputs: int, blocks: int, shortcut: bool):
        super().__init__()
        half = outputs // 2
        self.deep = nn.Sequential(
            _conv(inputs, half), *(Residual(half, shortcut) for _ in range(blocks))
        )
        self.around = _conv(inputs, half)
        self.join = _conv(outputs, outputs)

    def forward(self, x):
        """Return [N, outputs, H, W]."""
        return self.join(torch.cat((self.deep(x), self.around(x)), 1))


class PyramidPooling(nn.Module):
    """SPPF: the features beside three ever wider maxima of them."""

    def __init__(self, channels: int):
        super().__init__()
        self.squeeze = _conv(channels, channels // 2)
        self.pool = nn.MaxPool2d(5, 1, 2)
        self.join = _conv(2 * channels, channels)

    def forward(self, x):
        """Return a tensor of the same shape."""
        levels = [self.squeeze(x)]
        for _ in range(3):
            levels.append(self.pool(levels[-1]))
        return self.join(torch.cat(levels, 1))


class YoloS(nn.Module):
    """CSP backbone, two-way feature pyramid and one anchor-free prediction per cell.

    Returns [N, 4 + classes, boxes]: centre x, y, width, height in pixels, then scores. `size`
    is the input's width and height, a multiple of 32.
    """

    def __init__(self, size: int = 640, classes: int = CLASSES):
        super().__init__()
        self.stage8 = nn.Sequential(
            _conv(3, 32, 3, 2),
            _conv(32, 64, 3, 2), CrossStage(64, 64, 1, True),
            _conv(64, 128, 3, 2), CrossStage(128, 128, 2, True),
        )
        self.stage16 = nn.Sequential(_conv(128, 256, 3, 2), CrossStage(256, 256, 3, True))
        self.stage32 = nn.Sequential(
            _conv(256, 512, 3, 2), CrossStage(512, 512, 1, True), PyramidPooling(512)
        )
        self.up = nn.Upsample(scale_factor=2, mode='nearest')
        self.lateral32, self.lateral16 = _conv(512, 256), _conv(256, 128)
        self.merge16 = CrossStage(512, 256, 1, False)
        self.merge8 = CrossStage(256, 128, 1, False)
        self.down8, self.down16 = _conv(128, 128, 3, 2), _conv(256, 256, 3, 2)
        self.join16 = CrossStage(256, 256, 1, False)
        self.join32 = CrossStage(512, 512, 1, False)
        self.heads = nn.ModuleList(
            nn.Sequential(_conv(width, 128, 3), nn.Conv2d(128, 4 + classes, 1))
            for width in (128, 256, 512)
        )
        self.cells = [(size // stride) ** 2 for stride in STRIDES]
        corner, scale = _grid(size)
        self.register_buffer('corner', corner, persistent=False)
        self.register_buffer('scale', scale, persistent=False)

    def calm(self) -> None:
        """Make the predictions those of a detector that sees nothing, but for small changes."""
        for head in self.heads:
            nn.init.normal_(head[-1].weight, std=0.01)
            nn.init.zeros_(head[-1].bias)
            nn.init.constant_(head[-1].bias[4:], -math.log(1 / _PRIOR - 1))

    def forward(self, image):
        """Return the boxes of images [N, 3, size, size]."""
        at8 = self.stage8(image)
        at16 = self.stage16(at8)
        at32 = self.lateral32(self.stage32(at16))
        at16 = self.lateral16(self.merge16(torch.cat((self.up(at32), at16), 1)))
        at8 = self.merge8(torch.cat((self.up(at16), at8), 1))
        at16 = self.join16(torch.cat((self.down8(at8), at16), 1))
        at32 = self.join32(torch.cat((self.down16(at16), at32), 1))
        levels = [head(level) for head, level in zip(self.heads, (at8, at16, at32))]
        channels = self.heads[0][-1].out_channels
        rows = [level.reshape(-1, channels, n) for level, n in zip(levels, self.cells)]
        scores = torch.sigmoid(torch.cat(rows, 2))
        # As in YOLOv5: a centre reaches half a cell beyond its own, a side up to 4 cells.
        centre = (scores[:, 0:2] * 2 + self.corner) * self.scale
        side = scores[:, 2:4] * 2
        return torch.cat((centre, side * side * self.scale, scores[:, 4:]), 1)


def _grid(size: int):
    """Return each cell's corner minus half a cell [1, 2, boxes], and its stride [1, 1, boxes]."""
    corners, scales = [], []
    for stride in STRIDES:
        line = torch.arange(size // stride, dtype=torch.float32) - 0.5
        x = line.repeat(len(line))
        y = line.repeat_interleave(len(line))
        corners.append(torch.stack((x, y)))
        scales.append(torch.full((1, len(x)), float(stride)))
    return torch.cat(corners, 1)[None], torch.cat(scales, 1)[None]
