"""Checks of a broker against the normative statements of MQTT 5.0 and 3.1.1, for any broker.

`python -m mqttwist.conform HOST:PORT` runs them over sockets against a broker that listens there; the tests
of this project run the same checks on virtual time against the broker of this package.

A check is a plain function that takes a `Rig` and speaks through the clients that the rig makes. It stands in
the module of its section, `v5/connect.py` for section 3.1 of MQTT 5.0, and names the statements it proves:

    @statement("MQTT-3.12.4-1")
    def pingreq_is_answered(rig: Rig) -> None:
        \"\"\"The Server answers PINGREQ with PINGRESP.\"\"\"
        client = rig.connect()
        client.send(PingReq())
        client.expect(PingResp)
"""
