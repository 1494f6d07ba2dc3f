#include "model.h"

extern const struct model kss_model_flow, kss_model_level;

/* The numbers of kss/binary.py. */
static const struct model *const models[] = {&kss_model_flow, &kss_model_level};

const struct model *kss_find_model(uint32_t number) {
    return number < sizeof models / sizeof *models ? models[number] : NULL;
}
