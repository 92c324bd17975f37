"""NanoDet: class scores and box-edge distributions on a pyramid of grids."""

from __future__ import annotations

from typing import List, Mapping, Sequence, Tuple

import numpy as np

from s3dnn_ros.models.box_decoder import BoxDecoder
from s3dnn_ros.models.boxes import Candidates, at_least, best_candidates
from s3dnn_ros.models.grids import cells_of, expect_cells
from s3dnn_ros.models.shapes import Shapes, fits, refuse, size


class NanoDetDecoder(BoxDecoder):
    """Reads cls_STRIDE [N, cells, classes] and reg_STRIDE [N, cells, 4 × bins] per stride.

    One output [N, all cells, classes + 4 × bins], as upstream's exporter writes it, is read
    too. Scores are already through a sigmoid. An edge's distance from the cell's centre is the
    expectation over `bins`, times the stride. `centre` is the centre's offset within its cell:
    0.5 for NanoDet, 0 for NanoDet-Plus.
    """

    def __init__(
        self,
        width: int,
        height: int,
        strides: Sequence[int] = (8, 16, 32),
        bins: int = 11,
        centre: float = 0.5,
    ):
        if bins < 2:
            raise ValueError('bins must be at least 2')
        expect_cells(width, height, strides)
        super().__init__(width, height)
        self._strides, self._bins = tuple(strides), bins
        self._grids = [cells_of(width, height, stride, centre) for stride in self._strides]
        self._range = np.arange(bins, dtype=np.float32)

    def check(self, output_shapes: Shapes) -> int:
        """Return the number of classes; see `decoders.Decoder`."""
        cells = [len(grid) for grid in self._grids]
        if len(output_shapes) == 1:
            ((_, shape),) = output_shapes.items()
            if fits(shape, (None, sum(cells), None)):
                classes = size(shape, 2) - 4 * self._bins
                if classes > 0 or not isinstance(shape[2], int):
                    return max(classes, 0)
        elif all(
            fits(output_shapes.get(f'cls_{stride}', ()), (None, count, None))
            and fits(output_shapes.get(f'reg_{stride}', ()), (None, count, 4 * self._bins))
            for stride, count in zip(self._strides, cells)
        ):
            return size(output_shapes[f'cls_{self._strides[0]}'], 2)
        pairs = ', '.join(
            f'cls_{stride} [N, {count}, classes] and reg_{stride} [N, {count}, {4 * self._bins}]'
            for stride, count in zip(self._strides, cells)
        )
        return refuse(
            'nanodet',
            f'{pairs}, or one output [N, {sum(cells)}, classes + {4 * self._bins}]',
            output_shapes,
        )

    def reads(self, outputs):
        """Return two outputs for each stride, or the only one."""
        names = tuple(outputs)
        return names if len(names) == 1 else tuple(
            f'{kind}_{stride}' for stride in self._strides for kind in ('cls', 'reg'))

    def scores(self, outputs):
        """Return the class scores of all cells."""
        if len(outputs) > 1:
            return {name: outputs[name] for name in self.reads(outputs)[::2]}
        ((name, joint),) = outputs.items()
        return {name: joint[..., :-4 * self._bins]}

    def candidates(self, outputs, score_threshold):
        """Yield the candidates of one image after the other."""
        levels = self._levels(outputs)
        # The whole batch is compared at once: what is left is a handful of cells an image.
        hits = [at_least(scores, score_threshold) for scores, _ in levels]
        for image in range(len(levels[0][0])):
            yield self._of_image(levels, hits, image)

    def _levels(self, outputs: Mapping[str, np.ndarray]) -> List[Tuple[np.ndarray, np.ndarray]]:
        if len(outputs) > 1:
            return [(outputs[f'cls_{step}'], outputs[f'reg_{step}']) for step in self._strides]
        (joint,) = outputs.values()
        ends = np.cumsum([len(grid) for grid in self._grids])[:-1]
        split = joint.shape[2] - 4 * self._bins
        return [(part[..., :split], part[..., split:]) for part in np.split(joint, ends, axis=1)]

    def _of_image(self, levels, hits, image) -> Candidates:
        xyxy, scores, class_ids = [], [], []
        for (cls, reg), (of_image, cells, classes), stride, grid in zip(
            levels, hits, self._strides, self._grids
        ):
            # Hits come image by image, so those of one are a slice.
            first, last = np.searchsorted(of_image, (image, image + 1))
            cells, classes = cells[first:last], classes[first:last]
            found = cls[image, cells, classes]
            best = best_candidates(found)
            cells = cells[best]
            edges = self._distances(reg[image, cells]) * stride
            centre = grid[cells]
            xyxy.append(np.concatenate((centre - edges[:, :2], centre + edges[:, 2:]), axis=1))
            scores.append(found[best])
            class_ids.append(classes[best])
        return Candidates(np.concatenate(xyxy), np.concatenate(scores), np.concatenate(class_ids))

    def _distances(self, reg: np.ndarray) -> np.ndarray:
        """Return (n, 4) distances in strides from (n, 4 × bins) logits."""
        logits = reg.astype(np.float32).reshape(-1, 4, self._bins)
        weights = np.exp(logits - logits.max(axis=2, keepdims=True))
        return weights @ self._range / weights.sum(axis=2)
