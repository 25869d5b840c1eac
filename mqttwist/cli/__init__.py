"""The command `mqttwist`: publish, subscribe, ask, measure; what `mosquitto_pub` and the like are for."""
