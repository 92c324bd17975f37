from setuptools import find_packages, setup

# config/ lies beside the package in the checkout and in ROS 2's share folder;
# a wheel has no such place, so there it travels inside the package.
setup(
    packages=[*find_packages(include=['s3dnn_ros', 's3dnn_ros.*']), 's3dnn_ros.config'],
    package_dir={'s3dnn_ros.config': 'config'},
)
