"""etcd with TLS, client certificates, and users: the agent comes in with the right ones, and names what is wrong."""

import signal
import ssl
import subprocess

import etcd_server
from agent_lab import SWITCH, Lab, Switch, say, wait_until

FOLDER = "/run/lab/tls"


def openssl(*argv):
    subprocess.run(["openssl", *argv], check=True, capture_output=True, cwd=FOLDER, timeout=60)


def make_certificates():
    subprocess.run(["mkdir", "-m", "700", FOLDER], check=True)
    curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"]
    for name in ("ca", "other"):
        openssl("req", "-x509", *curve, "-keyout", f"{name}.key", "-out", f"{name}.pem", "-subj", f"/CN={name}")
    with open(f"{FOLDER}/extensions", "w", encoding="ascii") as file:
        file.write(f"subjectAltName=IP:{SWITCH}\n")
    for name in ("server", "client"):
        openssl("req", *curve, "-keyout", f"{name}.key", "-out", f"{name}.csr", "-subj",
                f"/O={name}")  # etcd's gateway refuses a common name once there are users
        openssl("x509", "-req", "-in", f"{name}.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-days", "2",
                "-extfile", "extensions", "-out", f"{name}.pem")


def make_users(etcd):
    everything = {"permType": "READWRITE", "key": etcd_server.encode("/netctl/"),
                  "range_end": etcd_server.encode("/netctl0")}
    for path, body in (("user/add", {"name": "root", "password": "r"}), ("role/add", {"name": "root"}),
                       ("user/grant", {"user": "root", "role": "root"}), ("role/add", {"name": "nodes"}),
                       ("role/grant", {"name": "nodes", "perm": everything}),
                       ("user/add", {"name": "net", "password": "pw"}),
                       ("user/grant", {"user": "net", "role": "nodes"}), ("enable", {})):
        etcd.call(f"auth/{path}", body)


def main():
    program = etcd_server.unpacked()
    with Lab(duplicate_detection=False) as lab:
        switch = Switch(lab)
        make_certificates()
        context = ssl.create_default_context(cafile=f"{FOLDER}/ca.pem")
        context.load_cert_chain(f"{FOLDER}/client.pem", f"{FOLDER}/client.key")
        etcd = etcd_server.Cluster(program, "/run/lab/etcd", address=SWITCH, scheme="https", tls=context, arguments=[
            "--cert-file", f"{FOLDER}/server.pem", "--key-file", f"{FOLDER}/server.key", "--trusted-ca-file",
            f"{FOLDER}/ca.pem", "--client-cert-auth"]).start()
        make_users(etcd)
        for name, text in (("password", "pw"), ("wrong", "guess")):
            with open(f"{FOLDER}/{name}", "w", encoding="ascii") as file:
                file.write(text + "\n")
        right = {"type": "etcd", "endpoints": etcd.endpoints, "caFile": f"{FOLDER}/ca.pem",
                 "certFile": f"{FOLDER}/client.pem",
                 "keyFile": f"{FOLDER}/client.key", "user": "net", "passwordFile": f"{FOLDER}/password"}
        host = switch.host()
        host.configure(right)
        host.start()
        host.settle(1)
        say("TLS, client certificate, user and password")
        wrong = {
            "another CA": ({**right, "caFile": f"{FOLDER}/other.pem"}, "certificate"),
            "no client certificate": ({k: v for k, v in right.items() if k not in ("certFile", "keyFile")}, "certificate"),
            "a wrong password": ({**right, "passwordFile": f"{FOLDER}/wrong"}, "authentication failed"),
            "no user": ({k: v for k, v in right.items() if k not in ("user", "passwordFile")}, "user name is empty"),
            "a file that is missing": ({**right, "keyFile": f"{FOLDER}/nothing"}, "No such file"),
            "an unknown key": ({**right, "pasword": "x"}, "pasword"),
            "no URL": ({**right, "endpoints": ["192.0.2.254:2379"]}, "endpoints"),
        }
        for name, (source, sentence) in wrong.items():
            host.configure(source)
            host.process.send_signal(signal.SIGHUP)
            wait_until(lambda: sentence in host.status().get("trouble", ""), f"{name}: {sentence}")
        host.configure(right)
        host.process.send_signal(signal.SIGHUP)
        host.settle(1)
        say(f"{len(wrong)} wrong ways in: each named")
        etcd.stop()


main()
