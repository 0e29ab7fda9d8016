// Five bodies under gravity: scalar double arithmetic with square roots and divisions.
#include "bench.h"

enum { BODIES = 5, STEPS = 5000 };
const char name[] = "nbody";
struct body {
	double x, y, z, vx, vy, vz, mass;
};

void setup(void) {}

static void step(struct body *bodies, double dt) {
	for (u32 i = 0; i < BODIES; i++) {
		struct body *a = &bodies[i];
		for (u32 j = i + 1; j < BODIES; j++) {
			struct body *b = &bodies[j];
			double dx = a->x - b->x, dy = a->y - b->y, dz = a->z - b->z;
			double square = dx * dx + dy * dy + dz * dz;
			double magnitude = dt / (square * __builtin_sqrt(square));
			a->vx -= dx * b->mass * magnitude, a->vy -= dy * b->mass * magnitude, a->vz -= dz * b->mass * magnitude;
			b->vx += dx * a->mass * magnitude, b->vy += dy * a->mass * magnitude, b->vz += dz * a->mass * magnitude;
		}
	}
	for (u32 i = 0; i < BODIES; i++) {
		struct body *a = &bodies[i];
		a->x += dt * a->vx, a->y += dt * a->vy, a->z += dt * a->vz;
	}
}

u64 iteration(void) {
	struct body bodies[BODIES] = {
		{0, 0, 0, 0, 0, 0, 39.5},
		{5, -1, 0, 0.6, 2.8, 0, 0.037},
		{8, 4, -0.4, -1.0, 1.8, 0, 0.011},
		{13, -15, -0.2, 1.1, 0.9, 0, 0.0017},
		{15, -26, 0.2, 1.0, 0.6, 0, 0.002},
	};
	for (u32 n = 0; n < STEPS; n++) step(bodies, 0.01);
	u64 sum = CHECKSUM_START;
	for (u32 n = 0; n < BODIES; n++) sum = checksum(checksum(sum, bits_of(bodies[n].x)), bits_of(bodies[n].vy));
	return sum;
}
