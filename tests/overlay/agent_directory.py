"""The source `dir`: hosts that share a directory claim blocks by link(2), find each other, and keep what they have."""

import os
import pathlib
import signal

from agent_lab import Lab, Switch, say, wait_until

SHARED = "/run/lab/shared"


def main():
    with Lab(duplicate_detection=False) as lab:
        switch = Switch(lab)
        os.mkdir(SHARED)
        hosts = [switch.host(subnets=["10.64.0.0/22"]) for _ in range(5)]
        for host in hosts:
            host.configure({"type": "dir", "path": SHARED})
        for host in hosts[:4]:
            host.start()
        for host in hosts[:4]:
            host.settle(4)
        assert len({host.blocks[0] for host in hosts[:4]}) == 4
        for host in hosts[1:4]:
            hosts[0].reaches(host.overlay_address)
        say("4 hosts reach each other")
        hosts[4].start()
        wait_until(lambda: "all 4 blocks" in hosts[4].status().get("trouble", ""), "the fifth finds all blocks taken")
        hosts[4].kill()

        before, entries = hosts[3].blocks, hosts[0].entries()
        os.rename(SHARED, SHARED + "-away")
        wait_until(lambda: hosts[0].status()["trouble"], "the directory is missed")
        assert hosts[0].entries() == entries, "a missing directory removed peers"
        os.rename(SHARED + "-away", SHARED)
        hosts[0].settle(4)
        record = next(pathlib.Path(SHARED, "lab").glob("block-*"))
        whole = record.read_bytes()
        record.write_bytes(whole[:20])
        wait_until(lambda: hosts[0].status()["rejected"], "a damaged record is noticed")
        assert hosts[0].entries() == entries, "a damaged record removed a peer"
        record.write_bytes(whole)
        wait_until(lambda: not hosts[0].status()["rejected"], "the record is whole again")
        say("directory gone, record damaged: nothing was removed")

        hosts[3].kill()
        answer = hosts[0].ask(f"/v1/remove/lab/{hosts[3].name}", "POST")
        assert answer[0] == 409 and "alive" in answer[1], answer
        hosts[3].start()
        hosts[3].settle(4)
        assert hosts[3].blocks == before
        hosts[3].kill()
        os.utime(f"{SHARED}/lab/alive-{hosts[3].name}", (1, 1))  # as if it had not been heard of for long
        assert hosts[0].ask(f"/v1/remove/lab/{hosts[3].name}", "POST")[0] == 200
        hosts[0].settle(3)
        hosts[4].start()
        hosts[4].settle(4)
        assert hosts[4].blocks == before
        hosts[3].start()
        wait_until(lambda: "all 4 blocks" in hosts[3].status().get("trouble", ""), "who was removed owns nothing")
        say("a node was removed, its block went to another one")

        hosts[3].configure({"type": "dir", "path": SHARED}, vni=8)
        hosts[3].process.send_signal(signal.SIGHUP)
        wait_until(lambda: "agreed on" in hosts[3].status().get("trouble", ""), "another VNI is refused")


main()
