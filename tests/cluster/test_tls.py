"""A scheduler that only those with a certificate can talk to."""

import shutil
import subprocess

import pytest
import works

from boxwood.errors import InputError
from boxwood.jobs.cluster import ClusterSettings

ROLES = ("scheduler", "worker", "client")


@pytest.fixture
def certificates(tmp_path):
    """Dask's configuration with one certificate for all, signed by itself."""
    if shutil.which("openssl") is None:
        pytest.skip("no openssl to make certificates with")
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost",
         "-keyout", key, "-out", certificate],
        check=True, capture_output=True,
    )  # fmt: skip
    tls = "distributed.comm.tls"
    files = {f"{tls}.ca-file": str(certificate)}
    for role in ROLES:
        files |= {f"{tls}.{role}.cert": str(certificate), f"{tls}.{role}.key": str(key)}
    return files


def test_pieces_of_work_are_sent_encrypted(certificates, loop):
    import dask
    from distributed import LocalCluster, Security

    with dask.config.set(certificates):
        cluster = LocalCluster(
            n_workers=1, threads_per_worker=1, protocol="tls://", security=Security(),
            dashboard_address="127.0.0.1:0", loop=loop,
        )  # fmt: skip
    with cluster:
        settings = ClusterSettings(executor="dask", scheduler=cluster.scheduler_address)
        assert settings.scheduler.startswith("tls://")
        with pytest.raises(InputError, match=r"no scheduler answers at tls://.*"):
            settings.open(1, print)
        with dask.config.set(certificates):
            executor = settings.open(1, print)
        try:
            squares = [done.result[0] for done in executor.map(works.square, range(5))]
        finally:
            executor.close()
    assert squares == [0, 1, 4, 9, 16]
