"""Published classifiers as small torch modules: AlexNet, VGG-16, GoogLeNet and ResNet-50.

They have the layers of the networks that the papers measured, and 1000 outputs (logits), but
no trained weights. Only `torch_export` imports this module, because it needs torch.
"""

from __future__ import annotations

import torch
from torch import nn

CLASSES = 1000


def conv(inputs: int, outputs: int, kernel: int, stride: int = 1, relu: bool = True, eps=1e-5):
    """Return a convolution without bias, its normalisation and, if asked, a ReLU."""
    layers = [
        nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, bias=False),
        nn.BatchNorm2d(outputs, eps=eps),
    ]
    return nn.Sequential(*layers, *([nn.ReLU()] if relu else []))


class AlexNet(nn.Module):
    """Krizhevsky, One weird trick for parallelizing convolutional neural networks, 2014."""

    def __init__(self):
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(3, 64, 11, 4, 2), nn.ReLU(), nn.MaxPool2d(3, 2),
            nn.Conv2d(64, 192, 5, 1, 2), nn.ReLU(), nn.MaxPool2d(3, 2),
            nn.Conv2d(192, 384, 3, 1, 1), nn.ReLU(),
            nn.Conv2d(384, 256, 3, 1, 1), nn.ReLU(),
            nn.Conv2d(256, 256, 3, 1, 1), nn.ReLU(), nn.MaxPool2d(3, 2),
        )
        self.classifier = _dense(256 * 6 * 6)

    def forward(self, image):
        """Return logits [N, 1000] of images [N, 3, 224, 224]."""
        return self.classifier(torch.flatten(self.features(image), 1))


class _VGG(nn.Module):
    """Simonyan and Zisserman, Very deep convolutional networks, 2015."""

    def __init__(self, repeats):
        super().__init__()
        layers, inputs = [], 3
        for outputs, count in zip((64, 128, 256, 512, 512), repeats):
            for _ in range(count):
                layers += [nn.Conv2d(inputs, outputs, 3, 1, 1), nn.ReLU()]
                inputs = outputs
            layers.append(nn.MaxPool2d(2, 2))
        self.features = nn.Sequential(*layers)
        self.classifier = _dense(512 * 7 * 7)

    def forward(self, image):
        """Return logits [N, 1000] of images [N, 3, 224, 224]."""
        return self.classifier(torch.flatten(self.features(image), 1))


class VGG11(_VGG):
    """Configuration A."""

    def __init__(self):
        super().__init__((1, 1, 2, 2, 2))


class VGG16(_VGG):
    """Configuration D."""

    def __init__(self):
        super().__init__((2, 2, 3, 3, 3))


def _dense(inputs: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Linear(inputs, 4096), nn.ReLU(),
        nn.Linear(4096, 4096), nn.ReLU(),
        nn.Linear(4096, CLASSES),
    )


class _Inception(nn.Module):
    def __init__(self, inputs: int, one: int, three, five, pooled: int):
        super().__init__()
        self.one = _inception_conv(inputs, one, 1)
        self.three = nn.Sequential(
            _inception_conv(inputs, three[0], 1), _inception_conv(three[0], three[1], 3)
        )
        # 3 × 3 where the paper has 5 × 5, like the implementation that became common.
        self.five = nn.Sequential(
            _inception_conv(inputs, five[0], 1), _inception_conv(five[0], five[1], 3)
        )
        self.pooled = nn.Sequential(nn.MaxPool2d(3, 1, 1), _inception_conv(inputs, pooled, 1))

    def forward(self, x):
        return torch.cat((self.one(x), self.three(x), self.five(x), self.pooled(x)), 1)


def _inception_conv(inputs: int, outputs: int, kernel: int, stride: int = 1) -> nn.Sequential:
    return conv(inputs, outputs, kernel, stride, eps=1e-3)


class GoogLeNet(nn.Module):
    """Szegedy et al., Going deeper with convolutions, 2015, with normalisation.

    As it is for inference, without the two auxiliary classifiers.
    """

    def __init__(self):
        super().__init__()

        def pool(kernel):
            return nn.MaxPool2d(kernel, 2, ceil_mode=True)

        self.features = nn.Sequential(
            _inception_conv(3, 64, 7, 2), pool(3),
            _inception_conv(64, 64, 1), _inception_conv(64, 192, 3), pool(3),
            _Inception(192, 64, (96, 128), (16, 32), 32),
            _Inception(256, 128, (128, 192), (32, 96), 64), pool(3),
            _Inception(480, 192, (96, 208), (16, 48), 64),
            _Inception(512, 160, (112, 224), (24, 64), 64),
            _Inception(512, 128, (128, 256), (24, 64), 64),
            _Inception(512, 112, (144, 288), (32, 64), 64),
            _Inception(528, 256, (160, 320), (32, 128), 128), pool(2),
            _Inception(832, 256, (160, 320), (32, 128), 128),
            _Inception(832, 384, (192, 384), (48, 128), 128),
            nn.AdaptiveAvgPool2d(1),
        )
        self.classifier = nn.Linear(1024, CLASSES)

    def forward(self, image):
        """Return logits [N, 1000] of images [N, 3, 224, 224]."""
        return self.classifier(torch.flatten(self.features(image), 1))


class Bottleneck(nn.Module):
    """1 × 1, 3 × 3 and 1 × 1 convolutions beside a shortcut; the 3 × 3 one has the stride."""

    def __init__(self, inputs: int, width: int, stride: int):
        super().__init__()
        outputs = 4 * width
        self.branch = nn.Sequential(
            conv(inputs, width, 1),
            conv(width, width, 3, stride),
            conv(width, outputs, 1, relu=False),
        )
        same = stride == 1 and inputs == outputs
        self.shortcut = nn.Identity() if same else conv(inputs, outputs, 1, stride, relu=False)
        self.relu = nn.ReLU()

    def forward(self, x):
        """Return [N, 4 × width, H / stride, W / stride]."""
        return self.relu(self.branch(x) + self.shortcut(x))


class ResNet50(nn.Module):
    """He et al., Deep residual learning for image recognition, 2016."""

    def __init__(self):
        super().__init__()
        layers, inputs = [conv(3, 64, 7, 2), nn.MaxPool2d(3, 2, 1)], 64
        for width, blocks in ((64, 3), (128, 4), (256, 6), (512, 3)):
            for block in range(blocks):
                stride = 2 if block == 0 and width > 64 else 1
                layers.append(Bottleneck(inputs, width, stride))
                inputs = 4 * width
        self.features = nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1))
        self.classifier = nn.Linear(inputs, CLASSES)

    def forward(self, image):
        """Return logits [N, 1000] of images [N, 3, 224, 224]."""
        return self.classifier(torch.flatten(self.features(image), 1))
