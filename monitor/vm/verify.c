#include "verify.h"
#include "model.h"
#include "program.h"

#define SIZE(name, reader, record) [name] = sizeof(record),
static const uint16_t record_size[SECTIONS] = {KSS_TABLES(SIZE)};

bool kss_defect(struct verifier *v, kss_status status, enum section_id which, uint32_t record) {
    v->status = status;
    v->where = v->image->sections[which].offset + (size_t)record * record_size[which];
    return false;
}

static bool at_header(struct verifier *v, kss_status status, size_t where) {
    v->status = status;
    v->where = where;
    return false;
}

/* Bit by bit: this is done once, and a table would be more to trust. */
static uint32_t checksum(const uint8_t *bytes, size_t size) {
    uint32_t crc = UINT32_MAX;
    for (; size; size--) {
        crc ^= *bytes++;
        for (uint32_t bit = 0; bit < 8; bit++)
            crc = crc >> 1 ^ (0xedb88320u & (0 - (crc & 1)));
    }
    return crc;
}

/* Sections follow one another without gaps; padding is zero. */
static bool verify_sections(struct verifier *v, size_t size) {
    const struct image *image = v->image;
    if (size < sizeof *image || (uintptr_t)image % 8)
        return at_header(v, KSS_BAD_SIZE, 0);
    if (image->magic != KSS_MAGIC)
        return at_header(v, KSS_BAD_MAGIC, offsetof(struct image, magic));
    if (image->version != KSS_VERSION)
        return at_header(v, KSS_BAD_VERSION, offsetof(struct image, version));
    if (image->size != size)
        return at_header(v, KSS_BAD_SIZE, offsetof(struct image, size));
    if (checksum((const uint8_t *)image, size) != CHECKSUM_RESIDUE)
        return at_header(v, KSS_BAD_CHECKSUM, size - CHECKSUM_SIZE);
    size -= CHECKSUM_SIZE;
    uint64_t end = sizeof *image;
    for (uint32_t i = 0; i < SECTIONS; i++) {
        const struct section *section = &image->sections[i];
        size_t where = offsetof(struct image, sections) + i * sizeof *section;
        uint64_t start = (end + 7) / 8 * 8;
        if (section->offset != start || start + (uint64_t)section->count * record_size[i] > size)
            return at_header(v, KSS_BAD_TABLE, where);
        for (; end < start; end++)
            if (((const uint8_t *)image)[end])
                return at_header(v, KSS_BAD_TABLE, (size_t)end);
        end = start + (uint64_t)section->count * record_size[i];
    }
    return end == size || at_header(v, KSS_BAD_SIZE, (size_t)end);
}

static bool verify_objects(struct verifier *v) {
    const struct image *image = v->image;
    uint64_t words = 0;
    for (uint32_t i = 0; i < count_of(image, OBJECTS); i++) {
        const struct object *object = &objects_of(image)[i];
        if (object->config > count_of(image, WORDS) ||
            object->config_words > count_of(image, WORDS) - object->config)
            return kss_defect(v, KSS_BAD_TABLE, OBJECTS, i);
        if (object->model >= kss_model_count || !object->capacity || object->context_words > MAX_STATE ||
            object->state != words || !model_of(object)->verify(image, object))
            return kss_defect(v, KSS_BAD_MODEL, OBJECTS, i);
        words += kss_table_words(object);
        if (words > MAX_STATE)
            return kss_defect(v, KSS_BAD_MODEL, OBJECTS, i);
    }
    uint64_t writes = (uint64_t)count_of(image, OBJECTS) * DROP_WRITES;
    if (image->state_words != words)
        return at_header(v, KSS_BAD_SIZE, offsetof(struct image, state_words));
    if (image->max_writes < writes || image->max_writes > MAX_STATE)
        return at_header(v, KSS_BAD_SIZE, offsetof(struct image, max_writes));
    return image->max_calls <= MAX_CALLS || at_header(v, KSS_BAD_SIZE, offsetof(struct image, max_calls));
}

/* A constant verdict repeats what follows from its calls, so that judging need not look. */
static bool verify_calls(struct verifier *v, const struct entry *entry) {
    bool granted = true;
    uint32_t rule = KSS_NO_RULE;
    if (!take(v, CALLS, entry->first, entry->count) || !entry->count || entry->count > MAX_CALLS ||
        entry->extent || entry->registers || entry->notes)
        return false;
    for (uint32_t i = 0; i < entry->count; i++) {
        const kss_call *call = &calls_of(v->image)[entry->first + i];
        if (call->rule >= v->image->rules || call->result > KSS_GRANTED)
            return false;
        if (granted)
            rule = call->rule;
        granted &= call->result == KSS_GRANTED;
    }
    return rule == entry->rule && granted == (entry->kind == ENTRY_GRANTED);
}

static bool verify_entries(struct verifier *v) {
    const struct image *image = v->image;
    for (uint32_t i = 0; i < count_of(image, ENTRIES); i++) {
        const struct entry *entry = &entries_of(image)[i];
        uint32_t bad = 0;
        if (entry->object != NONE && (entry->kind != ENTRY_PROGRAM || entry->object >= count_of(image, OBJECTS)))
            return kss_defect(v, KSS_BAD_TABLE, ENTRIES, i);
        switch (entry->kind) {
        case ENTRY_DEFAULT:
            if (entry->first || entry->count || entry->rule || entry->extent || entry->registers ||
                entry->notes)
                return kss_defect(v, KSS_BAD_TABLE, ENTRIES, i);
            break;
        case ENTRY_DENIED:
        case ENTRY_GRANTED:
            if (!verify_calls(v, entry))
                return kss_defect(v, KSS_BAD_TABLE, ENTRIES, i);
            break;
        case ENTRY_PROGRAM:
            if (entry->rule || !take(v, CODE, entry->first, entry->count))
                return kss_defect(v, KSS_BAD_TABLE, ENTRIES, i);
            if (!kss_verify_program(image, entry, &bad))
                return kss_defect(v, KSS_BAD_PROGRAM, CODE, entry->first + bad);
            break;
        default:
            return kss_defect(v, KSS_BAD_TABLE, ENTRIES, i);
        }
    }
    return all_taken(v, CALLS) && all_taken(v, CODE);
}

/* Levels ascend within a rule's watches; states that are omitted lie within the words. */
static bool verify_watch(const struct image *image, const struct watch *watch, uint32_t least) {
    return watch->level >= least && watch->results && watch->results < 1u << (KSS_VALUE + 1) && !watch->zero &&
           watch->omit <= count_of(image, WORDS) &&
           ((uint64_t)watch->states + 31) / 32 <= count_of(image, WORDS) - watch->omit;
}

static bool verify_watches(struct verifier *v) {
    const struct image *image = v->image;
    uint32_t count = count_of(image, WATCHED);
    if (image->audit_level > UINT8_MAX || image->max_notes > UINT16_MAX)
        return at_header(v, KSS_BAD_SIZE, offsetof(struct image, max_notes));
    if (count && count != image->rules)
        return at_header(v, KSS_BAD_TABLE, offsetof(struct image, sections) + WATCHED * sizeof(struct section));
    for (uint32_t i = 0; i < count; i++) {
        const struct watched *watched = &watched_of(image)[i];
        if (!take(v, WATCHES, watched->watch, watched->watches))
            return kss_defect(v, KSS_BAD_TABLE, WATCHED, i);
        uint32_t least = 0;
        for (uint32_t w = watched->watch; w < watched->watch + watched->watches; w++) {
            if (!verify_watch(image, &watches_of(image)[w], least))
                return kss_defect(v, KSS_BAD_TABLE, WATCHES, w);
            least = watches_of(image)[w].level + 1u;
        }
    }
    return all_taken(v, WATCHES);
}

/* A row's number is the most bytes of the message that its entries read. */
static bool verify_rows(struct verifier *v) {
    const struct image *image = v->image;
    uint64_t classes = count_of(image, CLASSES), rows = count_of(image, ROWS);
    if (rows * classes != count_of(image, CELLS))
        return at_header(v, KSS_BAD_TABLE, offsetof(struct image, sections) + CELLS * sizeof(struct section));
    for (uint32_t i = 0; i < count_of(image, CELLS); i++)
        if (cells_of(image)[i] >= count_of(image, ENTRIES))
            return kss_defect(v, KSS_BAD_TABLE, CELLS, i);
    for (uint32_t row = 0; row < rows; row++) {
        const uint16_t *cells = cells_of(image) + row * classes;
        uint32_t extent = 0;
        for (uint32_t i = 0; i < classes; i++)
            if (entries_of(image)[cells[i]].extent > extent)
                extent = entries_of(image)[cells[i]].extent;
        if (extent != rows_of(image)[row])
            return kss_defect(v, KSS_BAD_TABLE, ROWS, row);
    }
    return true;
}

static bool verify_operation(struct verifier *v, const struct operation *operation, bool security) {
    for (uint32_t direction = 0; direction < 3; direction++) {
        uint32_t type = operation->types[direction], row = operation->rows[direction];
        if (security && direction != KSS_IN) {
            if (type != NONE || row != NONE)
                return false;
        } else if (type >= count_of(v->image, TYPES) || row >= count_of(v->image, ROWS) ||
                   rows_of(v->image)[row] > types_of(v->image)[type].size) {
            return false;
        }
    }
    return true;
}

static bool verify_endpoint(struct verifier *v, uint32_t index, bool security) {
    const struct endpoint *endpoint = &endpoints_of(v->image)[index];
    if (!take(v, OPERATIONS, endpoint->operation, endpoint->operations))
        return kss_defect(v, KSS_BAD_TABLE, ENDPOINTS, index);
    for (uint32_t i = 0; i < endpoint->operations; i++)
        if (!verify_operation(v, &operations_of(v->image)[endpoint->operation + i], security))
            return kss_defect(v, KSS_BAD_TABLE, OPERATIONS, endpoint->operation + i);
    return true;
}

static bool verify_classes(struct verifier *v) {
    for (uint32_t i = 0; i < count_of(v->image, CLASSES); i++) {
        const struct class *class = &classes_of(v->image)[i];
        uint64_t count = (uint64_t)class->endpoints + class->security_endpoints;
        if (class->execute_row >= count_of(v->image, ROWS) || rows_of(v->image)[class->execute_row] ||
            count > count_of(v->image, ENDPOINTS) || !take(v, ENDPOINTS, class->endpoint, (uint32_t)count))
            return kss_defect(v, KSS_BAD_TABLE, CLASSES, i);
        for (uint32_t e = 0; e < count; e++)
            if (!verify_endpoint(v, class->endpoint + e, e >= class->endpoints))
                return false;
    }
    return all_taken(v, ENDPOINTS) && all_taken(v, OPERATIONS);
}

kss_status kss_verify(const void *image, size_t size, size_t *where) {
    struct verifier v = {.image = image, .status = KSS_OK};
    if (verify_sections(&v, size) && verify_objects(&v) && kss_verify_layouts(&v) &&
        kss_verify_automata(&v) && verify_watches(&v) && verify_entries(&v) && verify_rows(&v))
        verify_classes(&v);
    if (v.status != KSS_OK && where)
        *where = v.where;
    return v.status;
}
