"""NeuOS: instances that share their LAG, and decide together how fast and how exact to run."""

from s3dnn_ros.cohort.cohort import Cohort, ModelTables
from s3dnn_ros.cohort.coordinator import MODES, Coordinator, Decision, Member, Policy
from s3dnn_ros.cohort.lag import HORIZONS, lag_s, needed_speedup, proportional_sub_deadlines
from s3dnn_ros.cohort.membership import Membership, MemberState
from s3dnn_ros.cohort.tables import SCORES, SpeedupAccuracyTable, SpeedupPowerTable

__all__ = [
    'HORIZONS', 'MODES', 'SCORES', 'Cohort', 'Coordinator', 'Decision', 'Member', 'MemberState',
    'Membership', 'ModelTables', 'Policy', 'SpeedupAccuracyTable', 'SpeedupPowerTable', 'lag_s',
    'needed_speedup', 'proportional_sub_deadlines']
