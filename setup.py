"""What pyproject.toml cannot say: ``properties/`` of the root is installed inside the package."""

from setuptools import find_packages, setup

setup(
    packages=[*find_packages(include=["recbole_bns", "recbole_bns.*"]), "recbole_bns.properties"],
    package_dir={"recbole_bns.properties": "properties"},
)
