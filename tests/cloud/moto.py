"""moto's EC2 on 127.0.0.1, for tests/cloud/moto.rs.

Prints a line of JSON when it listens. A line on standard input asks: `log` for the requests so far
(boto3's own left out), `left` for what is there and was not there at the beginning. It ends with its
standard input.
"""

import io
import json
import os
import sys
import threading
from urllib.parse import parse_qs

os.environ["MOTO_ACCOUNT_ID"] = "111122223333"
sys.path.insert(0, sys.argv[1])

import boto3  # noqa: E402
from moto.server import DomainDispatcherApplication, create_backend_app  # noqa: E402
from werkzeug.serving import WSGIRequestHandler, make_server  # noqa: E402

REGION = "eu-central-1"
LOG = []


class Quiet(WSGIRequestHandler):
    # Connections are kept, as EC2 keeps them.
    protocol_version = "HTTP/1.1"

    def log_request(self, *_):
        pass


class Logged:
    def __init__(self, inner):
        self.inner = inner

    def __call__(self, environ, start_response):
        length = int(environ.get("CONTENT_LENGTH") or 0)
        body = environ["wsgi.input"].read(length)
        environ["wsgi.input"] = io.BytesIO(body)
        entry = {"params": {k: v[0] for k, v in parse_qs(body.decode()).items()}}
        authorization = environ.get("HTTP_AUTHORIZATION", "")
        entry["region"] = (authorization.split("/") + [""] * 3)[2]

        def start(status, headers, *rest):
            entry["status"] = int(status.split()[0])
            return start_response(status, headers, *rest)

        answer = b"".join(self.inner(environ, start))
        if b"<Code>" in answer:
            entry["code"] = answer.split(b"<Code>")[1].split(b"<")[0].decode()
        if "Boto3" not in environ.get("HTTP_USER_AGENT", ""):
            LOG.append(entry)
        return [answer]


server = make_server(
    "127.0.0.1",
    0,
    Logged(DomainDispatcherApplication(create_backend_app)),
    threaded=True,
    request_handler=Quiet,
)
threading.Thread(target=server.serve_forever, daemon=True).start()
ec2 = boto3.client(
    "ec2",
    region_name=REGION,
    endpoint_url=f"http://127.0.0.1:{server.server_port}",
    aws_access_key_id="AKIADOUBLEFORTESTS00",
    aws_secret_access_key="not-looked-at",
)


def there():
    instances = [i for r in ec2.describe_instances()["Reservations"] for i in r["Instances"]]
    found = [
        f"instance {i['InstanceId']}" for i in instances if i["State"]["Name"] != "terminated"
    ]
    for call, many, one in [
        ("describe_volumes", "Volumes", "VolumeId"),
        ("describe_vpcs", "Vpcs", "VpcId"),
        ("describe_subnets", "Subnets", "SubnetId"),
        ("describe_security_groups", "SecurityGroups", "GroupId"),
        ("describe_route_tables", "RouteTables", "RouteTableId"),
        ("describe_internet_gateways", "InternetGateways", "InternetGatewayId"),
        ("describe_network_interfaces", "NetworkInterfaces", "NetworkInterfaceId"),
        ("describe_key_pairs", "KeyPairs", "KeyName"),
    ]:
        found += [f"{many} {thing[one]}" for thing in getattr(ec2, call)()[many]]
    found += [
        f"Snapshots {s['SnapshotId']}"
        for s in ec2.describe_snapshots(OwnerIds=["111122223333"])["Snapshots"]
    ]
    return set(found)


volume = ec2.create_volume(AvailabilityZone=f"{REGION}a", Size=8)["VolumeId"]
snapshot = ec2.create_snapshot(VolumeId=volume)["SnapshotId"]
ec2.delete_volume(VolumeId=volume)
images = ec2.describe_images(
    Filters=[{"Name": "architecture", "Values": ["x86_64"]}, {"Name": "name", "Values": ["ubuntu*"]}]
)["Images"]
beginning = there()


def say(what):
    print(json.dumps(what), flush=True)


say(
    {
        "port": server.server_port,
        "snapshot": snapshot,
        "image": sorted(image["ImageId"] for image in images)[0],
    }
)
for line in sys.stdin:
    if line.strip() == "log":
        say(LOG)
    else:
        say(sorted(there() - beginning))
