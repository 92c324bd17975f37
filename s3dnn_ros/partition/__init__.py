"""One batch over many units: what each takes for how many images, and who gets how many."""

from s3dnn_ros.partition.row import Row
from s3dnn_ros.partition.split import METHODS, Split, partition_batch
from s3dnn_ros.partition.table import PerformanceTable
from s3dnn_ros.partition.unit_name import UnitName

__all__ = ['METHODS', 'PerformanceTable', 'Row', 'Split', 'UnitName', 'partition_batch']
