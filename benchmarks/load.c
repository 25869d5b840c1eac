/* load: plays the clients of one scenario of brokers.py, and prints one JSON object. Linux only.
 *
 *     cc -O2 -o load load.c && ./load --port 1883 --pid BROKER --publishers 1 --subscribers 1 --qos 1
 *
 * One process is all publishers and all subscribers. So one clock gives the latency from publisher to
 * subscriber, and the number of messages inside the broker can be bounded (--credit), which makes QoS 0 fair:
 * no broker is flooded, none wins by throwing messages away.
 *
 * Publisher number i publishes to bench/(i modulo --topics), subscriber number i subscribes to the same. With
 * --spread N every publisher goes through N topics below its own. A message is a time stamp and filling.
 * What is done instead of that: --retained N, --connections N. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { CONNECT = 1, CONNACK, PUBLISH, PUBACK, PUBREC, PUBREL, PUBCOMP, SUBSCRIBE, SUBACK,
       UNSUBSCRIBE, UNSUBACK, DISCONNECT = 14 };
enum role { PUBLISHER, SUBSCRIBER, ABSENT, CHURNER, IDLE };
enum state { CONNECTING, SUBSCRIBING, READY, LEAVING };

static struct {
    int port, version, publishers, subscribers, topics, qos, size, seconds, warm_up, window, batch, credit,
        rate, spread, filters, absent, churn, properties, retained, connections;
} option = {.version = 4, .publishers = 1, .topics = 1, .size = 64, .seconds = 3, .warm_up = 1,
            .window = 100, .batch = 64, .credit = 2000};

static const struct { const char *name; int *value; } OPTIONS[] = {
    {"--port", &option.port},
    {"--version", &option.version},          /* of the protocol: 4 or 5 */
    {"--publishers", &option.publishers},
    {"--subscribers", &option.subscribers},
    {"--topics", &option.topics},            /* how many; subscribers is a multiple of it */
    {"--qos", &option.qos},                  /* of publishing and subscribing */
    {"--size", &option.size},                /* of a payload in bytes, 8 and more */
    {"--seconds", &option.seconds},          /* that are measured */
    {"--warm-up", &option.warm_up},          /* seconds before that */
    {"--window", &option.window},            /* unacknowledged messages of a publisher at QoS 1 and 2 */
    {"--batch", &option.batch},              /* most messages in one write */
    {"--credit", &option.credit},            /* most messages inside the broker */
    {"--rate", &option.rate},                /* messages per second of all publishers; 0: what goes through */
    {"--spread", &option.spread},
    {"--filters", &option.filters},          /* of each subscriber, that never match */
    {"--absent", &option.absent},            /* clients that subscribe, go, and want it all kept */
    {"--churn", &option.churn},              /* SUBSCRIBE and UNSUBSCRIBE packets per second of one more client */
    {"--properties", &option.properties},    /* User Properties of a message */
    {"--retained", &option.retained},        /* store so many messages, then deliver them to a new subscriber */
    {"--connections", &option.connections},  /* open so many, and hold them */
};

#define CONNECT_WINDOW 50 /* connections that wait for CONNACK or SUBACK at once: Mosquitto listens for 100 */
#define PATIENCE (60 * 1000000000ull) /* ns that any phase may take */
#define KEY_DIGITS 7

static int epoll;
static pid_t pids[64];
static int pid_count;
static struct { uint64_t sent, received, acknowledged; } total;
static uint64_t allowance = UINT64_MAX; /* how many may be sent until now, by --rate */
static int opened, ready;

__attribute__((format(printf, 1, 2), noreturn)) static void fail(const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    fputs("load: ", stderr);
    vfprintf(stderr, format, arguments);
    fputc('\n', stderr);
    exit(2);
}

static uint64_t now(void) { /* ns */
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1000000000ull + t.tv_nsec;
}

/* A histogram of ns: 32 steps for each power of two, so a percentile is right within 3 %. */

#define STEPS 32
static uint64_t histogram[STEPS * 60], recorded;
static bool recording;

static void record(uint64_t ns) {
    if (!recording) return;
    int shift = ns < STEPS ? 0 : 63 - __builtin_clzll(ns) - 5;
    histogram[shift * STEPS + (ns >> shift)]++;
    recorded++;
}

static double percentile(double share) { /* us */
    uint64_t wanted = recorded * share, seen = 0;
    for (int i = 0; i < STEPS * 60; i++) {
        seen += histogram[i];
        if (seen > wanted) {
            int shift = i < 2 * STEPS ? 0 : i / STEPS - 1;
            return ((uint64_t)(i - shift * STEPS) << shift) / 1000.0;
        }
    }
    return 0;
}

/* Bytes, and the fields of a packet (1.5) */

struct buffer { uint8_t *bytes; size_t length, capacity; };

static uint8_t *make_room(struct buffer *b, size_t more) { /* where so many bytes may be put */
    if (b->length + more > b->capacity) {
        b->capacity = 2 * b->capacity + more;
        if (!(b->bytes = realloc(b->bytes, b->capacity))) fail("out of memory");
    }
    return b->bytes + b->length;
}

static void put(struct buffer *b, const void *bytes, size_t length) {
    memcpy(make_room(b, length), bytes, length);
    b->length += length;
}
static void put_byte(struct buffer *b, uint8_t byte) { put(b, &byte, 1); }
static void put_two_bytes(struct buffer *b, unsigned n) { put(b, (uint8_t[]){n >> 8, n}, 2); }
static void put_string(struct buffer *b, const char *s) { put_two_bytes(b, strlen(s)), put(b, s, strlen(s)); }
static void put_variable(struct buffer *b, size_t n) {
    for (; n >= 128; n >>= 7) put_byte(b, n | 128);
    put_byte(b, n);
}
static void put_packet(struct buffer *out, uint8_t first, struct buffer *body) { /* and empty the body */
    put_byte(out, first);
    put_variable(out, body->length);
    put(out, body->bytes, body->length);
    body->length = 0;
}

/* The integer at *at, which moves behind it; -1, and *at stays, where the bytes end too early. */
static long take_variable(const uint8_t *bytes, size_t end, size_t *at) {
    long value = 0;
    for (size_t i = 0; i < 4 && *at + i < end; i++) {
        value |= (long)(bytes[*at + i] & 127) << 7 * i;
        if (bytes[*at + i] < 128) return *at += i + 1, value;
    }
    return -1;
}

/* A client */

struct client {
    int fd, number;
    enum role role;
    enum state state;
    struct buffer in, out;
    size_t written;      /* of `out` */
    bool waits_for_room; /* the socket takes no more for now */
    uint64_t began;      /* when it was opened */
    int unanswered;      /* SUBSCRIBEs */
    struct buffer message; /* of a publisher: its PUBLISH, whose changing parts stand at: */
    size_t key_at, id_at, stamp_at;
    unsigned key;
    uint16_t packet_id;
    int in_flight, receive_maximum;
};

static void watch(struct client *c, int operation, bool for_room) {
    struct epoll_event event = {.events = EPOLLIN | (for_room ? EPOLLOUT : 0), .data.ptr = c};
    c->waits_for_room = for_room;
    if (epoll_ctl(epoll, operation, c->fd, &event)) fail("epoll: %s", strerror(errno));
}

static void flush(struct client *c) {
    while (c->written < c->out.length) {
        ssize_t n = send(c->fd, c->out.bytes + c->written, c->out.length - c->written, MSG_NOSIGNAL);
        if (n < 0 && errno == EAGAIN) {
            if (!c->waits_for_room) watch(c, EPOLL_CTL_MOD, true);
            return;
        }
        if (n < 0) fail("client %d can't write: %s", c->number, strerror(errno));
        c->written += n;
    }
    c->written = c->out.length = 0;
    if (c->waits_for_room) watch(c, EPOLL_CTL_MOD, false);
}

static void send_connect(struct client *c) {
    struct buffer body = {0};
    char client_id[64];
    snprintf(client_id, sizeof client_id, "load-%d-%d-%d", getpid(), c->role, c->number);
    bool five = option.version == 5, stays = c->role == ABSENT;
    put_string(&body, "MQTT");
    put_byte(&body, option.version);
    put_byte(&body, stays && !five ? 0 : 2); /* Clean Session, Clean Start */
    put_two_bytes(&body, 0);                 /* no Keep Alive */
    if (five) {
        put_variable(&body, stays ? 5 + 3 : 3);
        put(&body, (uint8_t[]){0x21, 1000 >> 8, 1000 & 255}, 3); /* Receive Maximum */
        if (stays) put(&body, (uint8_t[]){0x11, 0, 0, 0x0E, 0x10}, 5); /* Session Expiry Interval: an hour */
    }
    put_string(&body, client_id);
    put_packet(&c->out, CONNECT << 4, &body);
    free(body.bytes);
}

static void begin_request(struct buffer *body) {
    put_two_bytes(body, 1);
    if (option.version == 5) put_byte(body, 0);
}

static void subscribe(struct client *c) {
    struct buffer body = {0};
    char filter[64];
    begin_request(&body);
    for (int i = 0; c->role == SUBSCRIBER && i < option.filters; i++) {
        snprintf(filter, sizeof filter, i % 4 ? "site/%d/dev/%d/state" : "site/%d/+/%d/#", c->number, i);
        put_string(&body, filter);
        put_byte(&body, 0);
        if (i % 100 < 99 && i + 1 < option.filters) continue;
        put_packet(&c->out, SUBSCRIBE << 4 | 2, &body);
        c->unanswered++;
        begin_request(&body);
    }
    bool below = option.spread || option.retained;
    snprintf(filter, sizeof filter, below ? "bench/%d/+" : "bench/%d", c->number % option.topics);
    put_string(&body, filter);
    put_byte(&body, option.qos);
    put_packet(&c->out, SUBSCRIBE << 4 | 2, &body);
    c->unanswered++;
    c->state = SUBSCRIBING;
    free(body.bytes);
}

static void make_message(struct client *c) {
    struct buffer body = {0};
    char topic[64];
    bool below = option.spread || option.retained;
    snprintf(topic, sizeof topic, below ? "bench/%d/%0*d" : "bench/%d", c->number % option.topics, KEY_DIGITS, 0);
    put_string(&body, topic);
    c->key_at = body.length - KEY_DIGITS;
    c->id_at = body.length;
    if (option.qos) put_two_bytes(&body, 0);
    if (option.version == 5) put_variable(&body, option.properties * 21);
    for (int i = 0; i < option.properties; i++) {
        put_byte(&body, 0x26); /* User Property */
        put_string(&body, "trace-id");
        put_string(&body, "abcdef01");
    }
    c->stamp_at = body.length;
    memset(make_room(&body, option.size), 'x', option.size);
    body.length += option.size;
    size_t length = body.length;
    put_packet(&c->message, PUBLISH << 4 | option.qos << 1 | (option.retained ? 1 : 0), &body);
    size_t header = c->message.length - length;
    c->key_at += header, c->id_at += header, c->stamp_at += header;
    free(body.bytes);
}

/* Publishing */

static bool may_send(const struct client *c) {
    if (total.sent >= allowance) return false;
    if (option.qos && (c->in_flight >= option.window || c->in_flight >= c->receive_maximum)) return false;
    if (!option.subscribers) return option.qos || c->out.length - c->written < 65536;
    uint64_t copies = option.subscribers / option.topics;
    return total.sent * copies < total.received + option.credit * copies;
}

static void publish(struct client *c) { /* what may be sent now, as far as one write goes */
    int count = 0;
    for (; !c->waits_for_room && count < option.batch && may_send(c); count++) {
        uint8_t *message = c->message.bytes;
        uint64_t stamp = now();
        if (option.qos) {
            if (!++c->packet_id) c->packet_id = 1;
            message[c->id_at] = c->packet_id >> 8, message[c->id_at + 1] = c->packet_id;
            c->in_flight++;
        }
        if (option.spread || option.retained) {
            unsigned key = c->key++ % (option.retained ? option.retained : option.spread);
            for (int i = KEY_DIGITS - 1; i >= 0; i--, key /= 10) message[c->key_at + i] = '0' + key % 10;
        }
        memcpy(message + c->stamp_at, &stamp, sizeof stamp);
        put(&c->out, message, c->message.length);
        total.sent++;
    }
    if (count) flush(c);
}

/* What the broker says */

static void acknowledge(struct client *c, int type, const uint8_t *id) {
    put(&c->out, (uint8_t[]){type << 4 | (type == PUBREL ? 2 : 0), 2, id[0], id[1]}, 4);
}

static int receive_maximum(const uint8_t *body, size_t length) { /* that a CONNACK of MQTT 5 tells */
    size_t at = 2;
    long size = take_variable(body, length, &at);
    size_t end = at + (size > 0 ? size : 0);
    if (size < 0 || end > length) fail("CONNACK is malformed");
    while (at + 2 < end) {
        switch (body[at]) {
        case 0x21: return body[at + 1] << 8 | body[at + 2];
        case 0x24: case 0x25: case 0x28: case 0x29: case 0x2A: at += 2; break; /* a byte */
        case 0x13: case 0x22: at += 3; break;                                 /* two bytes */
        case 0x11: case 0x27: at += 5; break;                                 /* four bytes */
        case 0x26: at += 2 + (body[at + 1] << 8 | body[at + 2]);              /* the first of two strings */
        /* fall through */
        default: at += 3 + (at + 2 < end ? body[at + 1] << 8 | body[at + 2] : 0);
        }
    }
    return 65535;
}

static void is_ready(struct client *c) { c->state = READY, ready++; }

static void connack_received(struct client *c, const uint8_t *body, size_t length) {
    if (length < 2 || body[1]) fail("CONNACK of client %d says 0x%02x", c->number, length > 1 ? body[1] : 0);
    record(now() - c->began);
    c->receive_maximum = option.version == 5 ? receive_maximum(body, length) : 65535;
    if (c->role == SUBSCRIBER || c->role == ABSENT) subscribe(c);
    else is_ready(c);
}

static void suback_received(struct client *c, const uint8_t *body, size_t length) {
    if (c->role == CHURNER) return;
    if (body[length - 1] >= 0x80) fail("SUBACK of client %d says 0x%02x", c->number, body[length - 1]);
    if (--c->unanswered) return;
    is_ready(c);
    if (c->role == ABSENT) {
        put(&c->out, (uint8_t[]){DISCONNECT << 4, 0}, 2);
        c->state = LEAVING;
    }
}

static void publish_received(struct client *c, uint8_t first, const uint8_t *body, size_t length) {
    int qos = first >> 1 & 3;
    size_t at = 2 + (body[0] << 8 | body[1]);
    if (qos) {
        acknowledge(c, qos == 1 ? PUBACK : PUBREC, body + at);
        at += 2;
    }
    if (option.version == 5) {
        long properties = take_variable(body, length, &at);
        at += properties;
    }
    if (at + 8 > length) fail("a message has lost its time stamp");
    uint64_t stamp;
    memcpy(&stamp, body + at, sizeof stamp);
    record(now() - stamp);
    total.received++;
}

static void packet_received(struct client *c, uint8_t first, const uint8_t *body, size_t length) {
    int type = first >> 4;
    if (type >= PUBACK && type <= PUBCOMP && length > 2 && body[2] >= 0x80)
        fail("packet type %d to client %d says 0x%02x", type, c->number, body[2]);
    switch (type) {
    case CONNACK: connack_received(c, body, length); break;
    case SUBACK: suback_received(c, body, length); break;
    case PUBLISH: publish_received(c, first, body, length); break;
    case PUBREC: acknowledge(c, PUBREL, body); break;
    case PUBREL: acknowledge(c, PUBCOMP, body); break;
    case PUBACK: case PUBCOMP: c->in_flight--, total.acknowledged++; break;
    case UNSUBACK: break;
    default: fail("packet type %d to client %d, 0x%02x", type, c->number, length ? body[0] : 0);
    }
}

static void packets_received(struct client *c) { /* deal with those that are complete */
    size_t start = 0;
    for (;;) {
        size_t at = start + 1;
        long length = take_variable(c->in.bytes, c->in.length, &at);
        if (length < 0 || at + length > c->in.length) break;
        packet_received(c, c->in.bytes[start], c->in.bytes + at, length);
        start = at + length;
    }
    c->in.length -= start;
    memmove(c->in.bytes, c->in.bytes + start, c->in.length);
}

static void readable(struct client *c) {
    ssize_t n = recv(c->fd, make_room(&c->in, 65536), 65536, 0);
    if (n < 0 && errno == EAGAIN) return;
    if (n <= 0 && c->state == LEAVING) {
        close(c->fd);
        return;
    }
    if (n <= 0) fail("the broker closed the connection of client %d: %s", c->number, n ? strerror(errno) : "EOF");
    c->in.length += n;
    packets_received(c);
    if (c->out.length && !c->waits_for_room) flush(c);
}

static void poll_all(int milliseconds) {
    struct epoll_event events[512];
    int count = epoll_wait(epoll, events, 512, milliseconds);
    for (int i = 0; i < count; i++) {
        struct client *c = events[i].data.ptr;
        if (events[i].events & EPOLLOUT) flush(c);
        if (events[i].events & ~EPOLLOUT) readable(c);
    }
}

/* Phases */

static struct client *open_client(enum role role, int number) {
    struct client *c = calloc(1, sizeof *c);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(option.port)};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    c->role = role, c->number = number, c->began = now();
    c->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    if (c->fd < 0) fail("socket: %s", strerror(errno));
    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
    if (connect(c->fd, (struct sockaddr *)&address, sizeof address) && errno != EINPROGRESS)
        fail("connect: %s", strerror(errno));
    if (role == PUBLISHER) make_message(c);
    send_connect(c);
    watch(c, EPOLL_CTL_ADD, true);
    opened++;
    return c;
}

static struct client **open_clients(enum role role, int count) { /* and wait until all are ready */
    struct client **clients = calloc(count + 1, sizeof *clients);
    uint64_t began = now();
    for (int made = 0; made < count || ready < opened; poll_all(100)) {
        while (made < count && opened - ready < CONNECT_WINDOW) clients[made] = open_client(role, made), made++;
        if (now() - began > PATIENCE) fail("%d of %d clients are not ready", opened - ready, count);
    }
    return clients;
}

static void churn(struct client *c, uint64_t due) { /* so many packets since the start */
    static uint64_t done;
    for (; done < due; done++) {
        struct buffer body = {0};
        char filter[32];
        snprintf(filter, sizeof filter, "churn/%d/+", (int)(done / 2 % 1000));
        begin_request(&body);
        put_string(&body, filter);
        if (done % 2 == 0) put_byte(&body, 0);
        put_packet(&c->out, (done % 2 ? UNSUBSCRIBE : SUBSCRIBE) << 4 | 2, &body);
        free(body.bytes);
    }
    if (c->out.length && !c->waits_for_room) flush(c);
}

/* What is measured */

struct sample { double seconds, cpu, memory; uint64_t sent, received, acknowledged; }; /* memory in bytes */

static struct sample sample(void) {
    struct sample s = {now() / 1e9, 0, 0, total.sent, total.received, total.acknowledged};
    for (int i = 0; i < pid_count; i++) {
        clockid_t clock;
        struct timespec t;
        char path[64];
        long pages = 0;
        if (clock_getcpuclockid(pids[i], &clock) || clock_gettime(clock, &t)) continue;
        s.cpu += t.tv_sec + t.tv_nsec / 1e9;
        snprintf(path, sizeof path, "/proc/%d/statm", pids[i]);
        FILE *file = fopen(path, "r");
        if (!file) continue;
        if (fscanf(file, "%*d %ld", &pages) == 1) s.memory += (double)pages * sysconf(_SC_PAGESIZE);
        fclose(file);
    }
    return s;
}

static void report(double count, double seconds, double cpu, double bytes_each, uint64_t missing) {
    printf("{\"messages\": %.0f, \"per_second\": %.1f, \"cpu_us\": %.4f, \"bytes_each\": %.0f,"
           " \"missing\": %llu, \"p50_us\": %.1f, \"p90_us\": %.1f, \"p99_us\": %.1f, \"p999_us\": %.1f}\n",
           count, count / seconds, count ? cpu * 1e6 / count : 0, bytes_each,
           (unsigned long long)missing, percentile(.5), percentile(.9), percentile(.99), percentile(.999));
}

static void measure_connections(void) {
    recording = true;
    struct sample before = sample();
    open_clients(IDLE, option.connections);
    struct sample after = sample();
    report(option.connections, after.seconds - before.seconds, after.cpu - before.cpu,
           (after.memory - before.memory) / option.connections, 0);
}

static void measure_retained(void) { /* the rate is that of the delivery, the CPU that of both */
    struct client *publisher = open_clients(PUBLISHER, 1)[0];
    struct sample before = sample();
    if (!option.qos) fail("--retained wants --qos 1: how else to know when all is stored");
    for (allowance = option.retained; total.acknowledged < allowance; poll_all(1)) publish(publisher);
    struct sample stored = sample();
    open_clients(SUBSCRIBER, 1);
    while (total.received < allowance && now() / 1e9 < stored.seconds + 30) poll_all(100);
    struct sample after = sample();
    report(total.received, after.seconds - stored.seconds, after.cpu - before.cpu,
           (stored.memory - before.memory) / option.retained, allowance - total.received);
}

static uint64_t expected(void) { return total.sent * (option.subscribers / option.topics); }

static void measure_messages(void) {
    open_clients(ABSENT, option.absent);
    open_clients(SUBSCRIBER, option.subscribers);
    struct client **publishers = open_clients(PUBLISHER, option.publishers);
    struct client *churner = option.churn ? open_clients(CHURNER, 1)[0] : NULL;
    uint64_t began = now(), measured_from = began + option.warm_up * 1000000000ull;
    uint64_t end = measured_from + option.seconds * 1000000000ull;
    struct sample before = sample();
    for (uint64_t t = began, first = 0; t < end; t = now(), first++) {
        if (!recording && t >= measured_from) before = sample(), recording = true;
        if (option.rate) allowance = (t - began) / 1e9 * option.rate;
        for (int i = 0; i < option.publishers; i++) publish(publishers[(first + i) % option.publishers]);
        if (churner) churn(churner, (t - began) / 1e9 * option.churn);
        poll_all(0);
    }
    struct sample after = sample();
    recording = false;
    while (total.received < expected() && now() < end + 2000000000ull) poll_all(10); /* what is still on its way */
    uint64_t count = option.subscribers ? after.received - before.received
                     : option.qos       ? after.acknowledged - before.acknowledged : after.sent - before.sent;
    report(count, after.seconds - before.seconds, after.cpu - before.cpu,
           option.absent && count ? (after.memory - before.memory) / count : 0, expected() - total.received);
}

static void read_options(int count, char **words) {
    for (int i = 1; i < count; i += 2) {
        bool known = false;
        if (i + 1 == count) fail("%s has no value", words[i]);
        for (size_t k = 0; k < sizeof OPTIONS / sizeof *OPTIONS; k++)
            if (!strcmp(words[i], OPTIONS[k].name)) *OPTIONS[k].value = atoi(words[i + 1]), known = true;
        if (!strcmp(words[i], "--pid") && pid_count < 64) pids[pid_count++] = atoi(words[i + 1]), known = true;
        if (!known) fail("unknown option %s", words[i]);
    }
    if (!option.port) fail("--port is missing");
    if (option.topics < 1 || option.subscribers % option.topics) fail("--subscribers is no multiple of --topics");
    if (option.size < 8) fail("--size is below 8");
}

int main(int count, char **words) {
    struct rlimit files;
    read_options(count, words);
    getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
    epoll = epoll_create1(0);
    if (option.connections) measure_connections();
    else if (option.retained) measure_retained();
    else measure_messages();
}
