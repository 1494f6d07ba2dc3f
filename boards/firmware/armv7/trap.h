/* Which exception vector was taken. Read by the assembler too. */
#define VECTOR_UNDEFINED 1
#define VECTOR_SUPERVISOR 2
#define VECTOR_PREFETCH 3
#define VECTOR_DATA 4
#define VECTOR_INTERRUPT 5
