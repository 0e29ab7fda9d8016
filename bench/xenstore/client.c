// One synchronous client of a XenStore: client SOCKET MILLISECONDS. For each kind of work it sends a request, waits for the reply, and so on, for so long; prints
// "NAME OPERATIONS NANOSECONDS" a line.
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

enum { XS_READ = 2, XS_TRANSACTION_START = 6, XS_TRANSACTION_END = 7, XS_WRITE = 11, XS_RM = 13, XS_ERROR = 16 };
struct header {
	uint32_t type, req_id, tx_id, len;
};

static int fd;
static uint32_t transaction;
static char reply[4096 + 1];

static void fail(const char *what) {
	perror(what);
	exit(1);
}

static void receive(void *to, size_t size) {
	for (char *at = to; size > 0;) {
		ssize_t got = read(fd, at, size);
		if (got <= 0) fail("read");
		at += got;
		size -= got;
	}
}

static void request(uint32_t type, const char *payload, size_t size) {
	static uint32_t id;
	char message[sizeof(struct header) + 4096];
	struct header header = {type, ++id, transaction, size};
	memcpy(message, &header, sizeof header);
	memcpy(message + sizeof header, payload, size);
	if (write(fd, message, sizeof header + size) != (ssize_t)(sizeof header + size)) fail("write");
	receive(&header, sizeof header);
	if (header.len > 4096) fail("the reply's length");
	receive(reply, header.len);
	reply[header.len] = 0;
	if (header.type == XS_ERROR || header.req_id != id) {
		fprintf(stderr, "request of type %u: %s\n", type, reply);
		exit(1);
	}
}

static void write_value(void) { request(XS_WRITE, "/bench/a/b\0a value of some length", 11 + 22); }
static void read_value(void) { request(XS_READ, "/bench/a/b", 11); }
static void create_and_remove(void) {
	request(XS_WRITE, "/bench/new\0value", 16);
	request(XS_RM, "/bench/new", 11);
}
static void in_transaction(void) {
	request(XS_TRANSACTION_START, "", 1);
	transaction = strtoul(reply, NULL, 10);
	read_value();
	write_value();
	request(XS_TRANSACTION_END, "T", 2);
	transaction = 0;
}

static uint64_t now(void) {
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000000ull + t.tv_nsec;
}

static void measure(const char *name, void (*work)(void), uint64_t time) {
	for (int i = 0; i < 2000; i++) work();
	uint64_t count = 0, start = now(), end;
	do
		for (int i = 0; i < 100; i++, count++) work();
	while ((end = now()) - start < time);
	printf("%s %llu %llu\n", name, (unsigned long long)count, (unsigned long long)(end - start));
}

int main(int argc, char **argv) {
	if (argc != 3) {
		fprintf(stderr, "usage: %s SOCKET MILLISECONDS\n", argv[0]);
		return 2;
	}
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	strncpy(address.sun_path, argv[1], sizeof address.sun_path - 1);
	fd = socket(AF_UNIX, SOCK_STREAM, 0);
	if (connect(fd, (struct sockaddr *)&address, sizeof address) != 0) fail(argv[1]);
	uint64_t time = strtoull(argv[2], NULL, 10) * 1000000;
	measure("write", write_value, time);
	measure("read", read_value, time);
	measure("create+remove", create_and_remove, time);
	measure("transaction", in_transaction, time);
	return 0;
}
