/* The boot image: a built system as one block in the board's memory.
 *
 * The runner (or the boot loader of a real board) puts it at BOARD_IMAGE; the same
 * firmware starts every system. Little-endian, no pointers; offsets count from the
 * start of the image and are multiples of 8. khs/engine/qemu/boot.py writes it.
 */
#ifndef FIRMWARE_IMAGE_H
#define FIRMWARE_IMAGE_H

#include <stdint.h>

#define IMAGE_MAGIC 0x4942534bu /* "KSBI" */
#define IMAGE_VERSION 2u

enum image_flag {
    IMAGE_EMULATED = 1, /* leave through the emulator's exit device at the end */
    IMAGE_COUNTED = 2,  /* time passes with instructions alone, one a tick */
};

typedef struct image_part {
    uint64_t offset;
    uint64_t size; /* bytes, or records of a table */
} image_part;

/* An outside input. */
typedef struct image_input {
    uint64_t tick;
    uint32_t target;
    uint32_t pad;
    image_part data;
} image_input;

/* A policy that comes into force at the beginning of a major frame. */
typedef struct image_swap {
    uint64_t frame;
    uint32_t policy;
    uint32_t pad;
} image_swap;

/* A device of a partition; by partition. */
typedef struct image_device {
    uint64_t address; /* in the partition */
    uint64_t physical; /* or the first I/O port */
    uint32_t size;
    uint32_t partition;
    uint32_t is_io;
    uint32_t card; /* vendor and device of the PCI card that it is on, 0 if it is there by itself */
    uint32_t card_line; /* the interrupt of that */
    uint32_t pad;
} image_device;

/* An interrupt of a device. */
typedef struct image_line {
    uint32_t partition;
    uint32_t line; /* at the interrupt controller */
    uint32_t irq;  /* the partition's virtual interrupt */
    uint32_t pad;
} image_line;

typedef struct image_header {
    uint32_t magic;
    uint32_t version;
    uint64_t size;     /* of the whole image */
    uint64_t ram_size; /* bytes of the board's memory */
    uint64_t frames;   /* major frames to run; 0 = for ever */
    uint32_t clock_hz; /* of the counter that measures guests; 0 = the board finds out */
    uint32_t timer_hz; /* of the timer that ends windows; 0 = as the clock */
    uint32_t flags;    /* bits of enum image_flag */
    uint32_t log_size; /* bytes of the shared log behind the image (channel.h); 0 = none */
    image_part config;
    image_part memory;
    image_part policies; /* image_part each */
    image_part inputs;   /* image_input each, ascending tick */
    image_part swaps;    /* image_swap each */
    image_part devices;  /* image_device each */
    image_part lines;    /* image_line each */
} image_header;

_Static_assert(sizeof(image_header) == 160 && sizeof(image_line) == 16 && sizeof(image_device) == 40 && sizeof(image_input) == 32, "layout");

#endif
