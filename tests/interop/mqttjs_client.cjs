// MQTT.js at the end of two pipes: a command per line of JSON comes in, an event per line of JSON goes out.
"use strict";

const fs = require("node:fs");
const readline = require("node:readline");
const mqtt = require(process.argv[2]);

const WINDOW = 100; // messages not acknowledged yet: MQTT.js does not heed the server's Receive Maximum
let client;

function tell(event) {
  process.stdout.write(JSON.stringify(event) + "\n");
}

function connect({ url, options }) {
  if (options.ca) options.ca = fs.readFileSync(options.ca);
  if (options.will) options.will.payload = Buffer.from(options.will.payload, "base64");
  client = mqtt.connect(url, { reconnectPeriod: 0, resubscribe: false, ...options });
  client.on("packetreceive", (packet) => {
    if (packet.cmd === "connack") {
      const reasonCode = packet.reasonCode ?? packet.returnCode;
      tell({ event: "connack", reasonCode, sessionPresent: packet.sessionPresent });
    } else if (packet.cmd === "disconnect") {
      tell({ event: "end", reasonCode: packet.reasonCode });
    }
  });
  client.on("message", (topic, payload, packet) => {
    const { qos, retain, properties = {} } = packet;
    if (properties.correlationData) properties.correlationData = properties.correlationData.toString("base64");
    tell({ event: "message", topic, payload: payload.toString("base64"), qos, retain, properties });
  });
  client.on("close", () => tell({ event: "end", reasonCode: -1 }));
  client.on("error", (error) => tell({ event: "error", text: String(error) }));
}

async function publish({ topic, payloads, options }) {
  const { properties } = options;
  if (properties?.correlationData) properties.correlationData = Buffer.from(properties.correlationData, "base64");
  for (let start = 0; start < payloads.length; start += WINDOW) {
    const burst = payloads.slice(start, start + WINDOW);
    await Promise.all(burst.map((payload) => client.publishAsync(topic, Buffer.from(payload, "base64"), options)));
  }
}

async function subscribe({ filter, qos }) {
  try {
    const granted = await client.subscribeAsync(filter, { qos });
    return granted[0].qos;
  } catch (error) {
    return error.packet?.granted?.[0] ?? 0x80;
  }
}

const COMMANDS = {
  connect,
  publish,
  subscribe,
  unsubscribe: ({ filter }) => client.unsubscribeAsync(filter).then(() => 0),
  disconnect: () => client.endAsync(),
  cut: () => void client.stream.destroy(),
};

readline.createInterface({ input: process.stdin }).on("line", async (line) => {
  const command = JSON.parse(line);
  try {
    const result = await COMMANDS[command.command](command);
    tell({ event: "done", result: result ?? 0 });
  } catch (error) {
    tell({ event: "failed", text: String(error.stack) });
  }
}).on("close", () => process.exit(0));
