/* Other last digits: a stand-in for the processors that one does not have.

   Loaded before everything else (LD_PRELOAD), it moves one factor of every matrix
   product of NumPy, SciPy and torch, and every value of their exp, log, pow and so on,
   by a few units in the last place: about what another kernel, vector width or number
   of threads does. NUMERIC_JITTER=SEED:UNITS:UNITS32 says by how many at most, in double
   and in single precision; functions, which are accurate everywhere, by no more than 2.

   How far a number is moved depends on the seed and on the number alone, so the same
   call gives the same result twice, symmetric matrices stay symmetric, and threads do
   not matter. A number with few digits, such as an integer or a half, was most likely
   exact, would be so everywhere, and stays.

   cc -O2 -shared -fPIC -fno-builtin jitter.c -o jitter.so -ldl -lm */

#define _GNU_SOURCE
#include <dlfcn.h>
#include <link.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static uint64_t seed;
static int64_t units_double, units_float;

__attribute__((constructor)) static void settings(void) {
    const char *text = getenv("NUMERIC_JITTER");
    if (!text || sscanf(text, "%lu:%ld:%ld", &seed, &units_double, &units_float) != 3) {
        fprintf(stderr, "NUMERIC_JITTER=%s: SEED:UNITS:UNITS32 expected\n", text);
        exit(2);
    }
}

/* From -units to units, by the last step of SplitMix64. */
static int64_t draw(uint64_t bits, int64_t units) {
    bits ^= seed * 0x9e3779b97f4a7c15;
    bits = (bits ^ (bits >> 30)) * 0xbf58476d1ce4e5b9;
    bits = (bits ^ (bits >> 27)) * 0x94d049bb133111eb;
    return (int64_t)((bits ^ (bits >> 31)) % (2 * units + 1)) - units;
}

/* Numbers whose lower half is zero, zero itself, infinities and NaN stay. */
#define MOVED(T, BITS, LOWER, TOP)                                                     \
    static T moved_##T(T value, int64_t units) {                                       \
        BITS bits, other;                                                              \
        memcpy(&bits, &value, sizeof bits);                                            \
        if (!(bits & LOWER) || (bits & TOP) == TOP) return value;                      \
        other = bits + draw(bits, units);                                              \
        if ((other & TOP) == TOP) return value;                                        \
        memcpy(&value, &other, sizeof bits);                                           \
        return value;                                                                  \
    }
MOVED(double, uint64_t, 0xffffffff, 0x7ff0000000000000)
MOVED(float, uint32_t, 0x7ff, 0x7f800000)

/* A moved copy of `lines` times `width` numbers; lines begin `step` numbers apart. */
#define COPY(T)                                                                        \
    static T *copy_##T(const T *from, int64_t lines, int64_t width, int64_t step) {    \
        T *copy = malloc((lines * width + 1) * sizeof(T));                             \
        for (int64_t i = 0; copy && i < lines; i++)                                    \
            for (int64_t j = 0; j < width; j++)                                        \
                copy[i * width + j] = moved_##T(from[i * step + j], units_##T);        \
        return copy ? copy : (abort(), copy);                                          \
    }
COPY(double)
COPY(float)

/* The function that is replaced: the caller's, or the first in any library. */
static void *in_library(const char *path, const char *name) {
    void *library = path ? dlopen(*path ? path : 0, RTLD_NOLOAD | RTLD_LAZY) : 0;
    return library ? dlsym(library, name) : 0;
}
struct search { const char *name; void *own, *found; };
static int look(struct dl_phdr_info *info, size_t size, void *data) {
    struct search *search = data;
    void *found = in_library(info->dlpi_name, search->name);
    if (size && found != search->own) search->found = found;
    return search->found != 0;
}
static void *original(const char *name, void *own, void *caller) {
    Dl_info where;
    struct search search = {name, own, 0};
    if (dladdr(caller, &where)) search.found = in_library(where.dli_fname, name);
    if (!search.found) dl_iterate_phdr(look, &search);
    if (!search.found) fprintf(stderr, "jitter: nobody has %s\n", name), abort();
    return search.found;
}
#define ORIGINAL(NAME)                                                                 \
    static __typeof__(&NAME) real;                                                     \
    if (!real) real = original(#NAME, (void *)&NAME, __builtin_return_address(0))

static int64_t atleast1(int64_t n) { return n > 0 ? n : 1; }
enum { ROWS = 101, PLAIN = 111 };

/* The interface for C, which NumPy calls. */
#define C_BLAS(PRE, POST, T, INT)                                                      \
    void PRE##gemm##POST(int order, int ta, int tb, INT m, INT n, INT k, T alpha,      \
                         const T *a, INT lda, const T *b, INT ldb, T beta, T *c,       \
                         INT ldc) {                                                    \
        ORIGINAL(PRE##gemm##POST);                                                     \
        int upright = (order == ROWS) == (ta == PLAIN);                                \
        INT width = upright ? k : m;                                                   \
        T *copy = copy_##T(a, upright ? m : k, width, lda);                            \
        real(order, ta, tb, m, n, k, alpha, copy, atleast1(width), b, ldb, beta, c,    \
             ldc);                                                                     \
        free(copy);                                                                    \
    }                                                                                  \
    void PRE##syrk##POST(int order, int uplo, int ta, INT n, INT k, T alpha,           \
                         const T *a, INT lda, T beta, T *c, INT ldc) {                 \
        ORIGINAL(PRE##syrk##POST);                                                     \
        int upright = (order == ROWS) == (ta == PLAIN);                                \
        INT width = upright ? k : n;                                                   \
        T *copy = copy_##T(a, upright ? n : k, width, lda);                            \
        real(order, uplo, ta, n, k, alpha, copy, atleast1(width), beta, c, ldc);       \
        free(copy);                                                                    \
    }                                                                                  \
    void PRE##gemv##POST(int order, int ta, INT m, INT n, T alpha, const T *a,         \
                         INT lda, const T *x, INT step, T beta, T *y, INT next) {      \
        ORIGINAL(PRE##gemv##POST);                                                     \
        int upright = order == ROWS;                                                   \
        INT width = upright ? n : m;                                                   \
        T *copy = copy_##T(a, upright ? m : n, width, lda);                            \
        real(order, ta, m, n, alpha, copy, atleast1(width), x, step, beta, y, next);   \
        free(copy);                                                                    \
    }                                                                                  \
    T PRE##dot##POST(INT n, const T *x, INT step, const T *y, INT next) {              \
        ORIGINAL(PRE##dot##POST);                                                      \
        if (step < 1) return real(n, x, step, y, next);                                \
        T *copy = copy_##T(x, n, 1, step);                                             \
        T result = real(n, copy, 1, y, next);                                          \
        free(copy);                                                                    \
        return result;                                                                 \
    }
C_BLAS(scipy_cblas_d, 64_, double, int64_t)
C_BLAS(scipy_cblas_s, 64_, float, int64_t)

/* The interface of Fortran, which SciPy, torch and LAPACK call. */
#define FORTRAN_BLAS(PRE, POST, T, INT)                                                \
    void PRE##gemm##POST(const char *ta, const char *tb, const INT *m, const INT *n,   \
                         const INT *k, const T *alpha, const T *a, const INT *lda,     \
                         const T *b, const INT *ldb, const T *beta, T *c,              \
                         const INT *ldc, size_t one, size_t two) {                     \
        ORIGINAL(PRE##gemm##POST);                                                     \
        int plain = (*ta | 32) == 'n';                                                 \
        INT width = plain ? *m : *k, ld = atleast1(width);                             \
        T *copy = copy_##T(a, plain ? *k : *m, width, *lda);                           \
        real(ta, tb, m, n, k, alpha, copy, &ld, b, ldb, beta, c, ldc, one, two);       \
        free(copy);                                                                    \
    }                                                                                  \
    void PRE##gemv##POST(const char *ta, const INT *m, const INT *n, const T *alpha,   \
                         const T *a, const INT *lda, const T *x, const INT *step,      \
                         const T *beta, T *y, const INT *next, size_t one) {           \
        ORIGINAL(PRE##gemv##POST);                                                     \
        INT ld = atleast1(*m);                                                         \
        T *copy = copy_##T(a, *n, *m, *lda);                                           \
        real(ta, m, n, alpha, copy, &ld, x, step, beta, y, next, one);                 \
        free(copy);                                                                    \
    }                                                                                  \
    T PRE##dot##POST(const INT *n, const T *x, const INT *step, const T *y,            \
                     const INT *next) {                                                \
        ORIGINAL(PRE##dot##POST);                                                      \
        if (*step < 1) return real(n, x, step, y, next);                               \
        INT one = 1;                                                                   \
        T *copy = copy_##T(x, *n, 1, *step);                                           \
        T result = real(n, copy, &one, y, next);                                       \
        free(copy);                                                                    \
        return result;                                                                 \
    }
FORTRAN_BLAS(scipy_d, _, double, int)
FORTRAN_BLAS(scipy_s, _, float, int)
FORTRAN_BLAS(scipy_d, _64_, double, int64_t)
FORTRAN_BLAS(scipy_s, _64_, float, int64_t)
FORTRAN_BLAS(d, _, double, int)
FORTRAN_BLAS(s, _, float, int)

/* Many products at once, which torch calls. */
#define BATCH(NAME, T)                                                                 \
    void NAME(int order, const int *ta, const int *tb, const int *m, const int *n,     \
              const int *k, const T *alpha, const T **a, const int *lda, const T **b,  \
              const int *ldb, const T *beta, T **c, const int *ldc, int groups,        \
              const int *sizes) {                                                      \
        ORIGINAL(NAME);                                                                \
        int count = 0, at = 0;                                                         \
        for (int g = 0; g < groups; g++) count += sizes[g];                            \
        const T **copies = malloc((count + 1) * sizeof *copies);                       \
        int *ld = malloc((groups + 1) * sizeof *ld);                                   \
        for (int g = 0; g < groups; g++) {                                             \
            int upright = (order == ROWS) == (ta[g] == PLAIN);                         \
            int width = upright ? k[g] : m[g];                                         \
            ld[g] = atleast1(width);                                                   \
            for (int i = 0; i < sizes[g]; i++, at++)                                   \
                copies[at] = copy_##T(a[at], upright ? m[g] : k[g], width, lda[g]);    \
        }                                                                              \
        real(order, ta, tb, m, n, k, alpha, copies, ld, b, ldb, beta, c, ldc, groups,  \
             sizes);                                                                   \
        while (at) free((void *)copies[--at]);                                         \
        free(copies);                                                                  \
        free(ld);                                                                      \
    }
BATCH(cblas_dgemm_batch, double)
BATCH(cblas_sgemm_batch, float)

/* Elementary functions, where NumPy and SciPy call them. Python's own are alike on all
   machines. */
static int for_arrays(void *caller) {
    Dl_info where;
    if (!dladdr(caller, &where)) return 0;
    return strstr(where.dli_fname, "/numpy/") || strstr(where.dli_fname, "/scipy/");
}
#define FUNCTION(NAME, T, PARAMETERS, ARGUMENTS)                                       \
    T NAME PARAMETERS {                                                                \
        static __typeof__(&NAME) real;                                                 \
        static void *last;                                                             \
        static int moves;                                                              \
        void *caller = __builtin_return_address(0);                                    \
        if (!real) real = dlsym(RTLD_NEXT, #NAME);                                     \
        if (caller != last) moves = for_arrays(caller), last = caller;                 \
        return moves ? moved_##T(real ARGUMENTS, units_##T < 2 ? units_##T : 2)        \
                     : real ARGUMENTS;                                                 \
    }
#define ONE(NAME) FUNCTION(NAME, double, (double x), (x))                              \
    FUNCTION(NAME##f, float, (float x), (x))
#define TWO(NAME) FUNCTION(NAME, double, (double x, double y), (x, y))                 \
    FUNCTION(NAME##f, float, (float x, float y), (x, y))
ONE(exp) ONE(exp2) ONE(expm1) ONE(log) ONE(log2) ONE(log10) ONE(log1p) ONE(cbrt)
ONE(sin) ONE(cos) ONE(tan) ONE(asin) ONE(acos) ONE(atan) ONE(sinh) ONE(cosh) ONE(tanh)
TWO(pow) TWO(atan2)
