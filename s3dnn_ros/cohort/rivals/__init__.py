"""What others do instead of coordinating; for comparison, with the Coordinator's interface."""

from s3dnn_ros.cohort.rivals.apnet import ApNet
from s3dnn_ros.cohort.rivals.fixed import Fixed
from s3dnn_ros.cohort.rivals.oracle import Oracle
from s3dnn_ros.cohort.rivals.poet import Poet
from s3dnn_ros.cohort.rivals.predjoule import PredJoule
from s3dnn_ros.cohort.rivals.uncoordinated import Uncoordinated

__all__ = ['ApNet', 'Fixed', 'Oracle', 'Poet', 'PredJoule', 'Uncoordinated']
