/* How fast Intel's multi-buffer library does the work of `cargo bench --bench
 * record`: 64 records of one direction and key, AES-256-CBC, and HMAC-SHA256
 * over ciphertext, sequence and length, with tags of 16 bytes. Sealing goes from
 * one place to another, opening in place.
 *
 *     ipsec-mb seal|open LENGTH        prints GB/s of payload, a median
 *
 * Three things favour the library: it gets IVs and does not compute them; kind and
 * padding are in place; when opening, it computes tags but does not compare them. A
 * check of its bytes precedes the timing. scripts/bench --ipsec-mb builds and runs this.
 */
#include <intel-ipsec-mb.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum {
    RECORDS = 64,
    BLOCK = 16,
    TAG = 16,
    HASH = 32,
    HASH_BLOCK = 64,
    KEY = 32,
    TRAILER = 10, /* sequence and length, which only the MAC sees */
    LONGEST = 16384,
    ROOM = LONGEST + BLOCK + TRAILER,
    BURST = 32,       /* jobs in one call */
    RUNS = 201,       /* the median is over this many runs */
    RUN_BYTES = 1 << 20 /* of payload, so that reading the clock costs nothing */
};

typedef uint32_t (*submit_fn)(IMB_MGR *, uint32_t, IMB_JOB **);

/* SP 800-38A, F.2.5: the first block of CBC-AES256. */
static const uint8_t cipher_key[KEY] = {
    0x60, 0x3d, 0xeb, 0x10, 0x15, 0xca, 0x71, 0xbe, 0x2b, 0x73, 0xae,
    0xf0, 0x85, 0x7d, 0x77, 0x81, 0x1f, 0x35, 0x2c, 0x07, 0x3b, 0x61,
    0x08, 0xd7, 0x2d, 0x98, 0x10, 0xa3, 0x09, 0x14, 0xdf, 0xf4,
};
static const uint8_t first_iv[BLOCK] = {
    0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15,
};
static const uint8_t first_plain[BLOCK] = {
    0x6b, 0xc1, 0xbe, 0xe2, 0x2e, 0x40, 0x9f, 0x96,
    0xe9, 0x3d, 0x7e, 0x11, 0x73, 0x93, 0x17, 0x2a,
};
static const uint8_t first_cipher[BLOCK] = {
    0xf5, 0x8c, 0x4c, 0x04, 0xd6, 0xe5, 0xf1, 0xba,
    0x77, 0x9e, 0xab, 0xfb, 0x5f, 0x7b, 0xfb, 0xd6,
};
static const uint8_t mac_key[KEY] = "the key of every message's tag..";

/* One object, so that the distance between its parts is a difference of pointers. */
static struct {
    uint8_t plain[RECORDS][ROOM];
    uint8_t sealed[RECORDS][ROOM];
} memory;
static uint8_t tags[RECORDS][TAG];
static uint8_t ivs[RECORDS][BLOCK];
static uint32_t enc_keys[60], dec_keys[60]; /* 15 round keys */
static uint8_t inner[HASH], outer[HASH];    /* the MAC's two states */

static void fail(const char *what)
{
    fprintf(stderr, "ipsec-mb: %s\n", what);
    exit(1);
}

static void pad_key(uint8_t block[HASH_BLOCK], uint8_t pad)
{
    memset(block, pad, HASH_BLOCK);
    for (int i = 0; i < KEY; i++)
        block[i] ^= mac_key[i];
}

static void prepare(IMB_MGR *mgr)
{
    uint8_t block[HASH_BLOCK];

    IMB_AES_KEYEXP_256(mgr, cipher_key, enc_keys, dec_keys);
    pad_key(block, 0x36);
    IMB_SHA256_ONE_BLOCK(mgr, block, inner);
    pad_key(block, 0x5c);
    IMB_SHA256_ONE_BLOCK(mgr, block, outer);

    for (int i = 0; i < RECORDS; i++) {
        for (int at = 0; at < ROOM; at++)
            memory.plain[i][at] = (uint8_t)((i * ROOM + at) % 251);
        memcpy(ivs[i], first_iv, BLOCK);
        ivs[i][0] = (uint8_t)i;
    }
    memcpy(memory.plain[0], first_plain, BLOCK);
}

static void fill(IMB_JOB *job, int i, int sealing, size_t text)
{
    uint8_t *to = memory.sealed[i];
    uint8_t *from = sealing ? memory.plain[i] : to;

    job->cipher_mode = IMB_CIPHER_CBC;
    job->cipher_direction = sealing ? IMB_DIR_ENCRYPT : IMB_DIR_DECRYPT;
    job->chain_order = sealing ? IMB_ORDER_CIPHER_HASH : IMB_ORDER_HASH_CIPHER;
    job->enc_keys = enc_keys;
    job->dec_keys = dec_keys;
    job->key_len_in_bytes = KEY;
    job->iv = ivs[i];
    job->iv_len_in_bytes = BLOCK;
    job->src = from;
    job->dst = to;
    job->cipher_start_src_offset_in_bytes = 0;
    job->msg_len_to_cipher_in_bytes = text;
    job->hash_alg = IMB_AUTH_HMAC_SHA_256;
    /* The library hashes at an offset from `src`; the ciphertext is at `dst`. */
    job->hash_start_src_offset_in_bytes = (uint64_t)(to - from);
    job->msg_len_to_hash_in_bytes = text + TRAILER;
    job->auth_tag_output = tags[i];
    job->auth_tag_output_len_in_bytes = TAG;
    job->u.HMAC._hashed_auth_key_xor_ipad = inner;
    job->u.HMAC._hashed_auth_key_xor_opad = outer;
}

/* Seals or opens all records, of `text` bytes of ciphertext each. */
static void work(IMB_MGR *mgr, submit_fn submit, int sealing, size_t text)
{
    IMB_JOB *jobs[IMB_MAX_BURST_SIZE];
    uint32_t sent = 0, done = 0;

    while (done < RECORDS) {
        uint32_t want = RECORDS - sent < BURST ? RECORDS - sent : BURST;
        uint32_t got = want ? IMB_GET_NEXT_BURST(mgr, want, jobs) : 0;
        for (uint32_t i = 0; i < got; i++)
            fill(jobs[i], (int)sent++, sealing, text);
        uint32_t out = got ? submit(mgr, got, jobs) : IMB_FLUSH_BURST(mgr, BURST, jobs);
        if (imb_get_errno(mgr) != 0)
            fail(imb_get_strerror(imb_get_errno(mgr)));
        if (got == 0 && out == 0)
            fail("jobs were lost");
        for (uint32_t i = 0; i < out; i++)
            if (jobs[i]->status != IMB_STATUS_COMPLETED)
                fail("a job was not completed");
        done += out;
    }
}

/* HMAC by its definition, on the library's plain SHA-256. */
static void expected_tag(IMB_MGR *mgr, const uint8_t *text, size_t len, uint8_t *tag)
{
    static uint8_t message[HASH_BLOCK + ROOM];
    uint8_t last[HASH_BLOCK + HASH];

    pad_key(message, 0x36);
    memcpy(message + HASH_BLOCK, text, len);
    pad_key(last, 0x5c);
    IMB_SHA256(mgr, message, HASH_BLOCK + len, last + HASH_BLOCK);
    IMB_SHA256(mgr, last, sizeof last, tag);
}

static void check(IMB_MGR *mgr, size_t text)
{
    uint8_t sealed_tags[RECORDS][TAG], tag[HASH];

    work(mgr, mgr->submit_burst, 1, text);
    if (memcmp(memory.sealed[0], first_cipher, BLOCK) != 0)
        fail("wrong ciphertext");
    for (int i = 0; i < RECORDS; i++) {
        expected_tag(mgr, memory.sealed[i], text + TRAILER, tag);
        if (memcmp(tags[i], tag, TAG) != 0)
            fail("wrong tag");
    }
    memcpy(sealed_tags, tags, sizeof tags);
    memset(tags, 0, sizeof tags);
    work(mgr, mgr->submit_burst, 0, text);
    if (memcmp(tags, sealed_tags, sizeof tags) != 0)
        fail("opening gives other tags than sealing");
    for (int i = 0; i < RECORDS; i++)
        if (memcmp(memory.sealed[i], memory.plain[i], text) != 0)
            fail("opening does not give the plaintext back");
}

static double now(void)
{
    struct timespec time;

    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec * 1e-9;
}

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

/* The median time, in seconds, for all records once. Opening takes what the run
 * before left, which costs the same. */
static double measure(IMB_MGR *mgr, int sealing, size_t length, size_t text)
{
    double times[RUNS];
    size_t repeat = RUN_BYTES / (RECORDS * length);

    for (int run = 0; run < RUNS; run++) {
        double start = now();
        for (size_t i = 0; i < repeat; i++)
            work(mgr, mgr->submit_burst_nocheck, sealing, text);
        times[run] = (now() - start) / (double)repeat;
    }
    qsort(times, RUNS, sizeof *times, compare);
    return times[RUNS / 2];
}

int main(int argc, char **argv)
{
    size_t length = argc == 3 ? strtoul(argv[2], NULL, 10) : 0;
    int sealing = argc == 3 && strcmp(argv[1], "seal") == 0;
    int opening = argc == 3 && strcmp(argv[1], "open") == 0;

    if (!(sealing || opening) || length == 0 || length > LONGEST) {
        fprintf(stderr, "usage: ipsec-mb seal|open LENGTH, 1 to %d\n", LONGEST);
        return 2;
    }
    IMB_MGR *mgr = alloc_mb_mgr(0);
    if (mgr == NULL)
        fail("no memory");
    init_mb_mgr_auto(mgr, NULL);
    if (imb_get_errno(mgr) != 0)
        fail(imb_get_strerror(imb_get_errno(mgr)));

    size_t text = (length / BLOCK + 1) * BLOCK;
    prepare(mgr);
    check(mgr, text);
    printf("%.4f\n", (double)(RECORDS * length) / measure(mgr, sealing, length, text) / 1e9);
    free_mb_mgr(mgr);
    return 0;
}
