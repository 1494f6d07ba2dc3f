/* Guest addresses. */
#include "internal.h"

/* The host address of [address, address+size) if it lies wholly in one region of the
 * partition with all `rights`, else NULL. Ranges that continue into a neighbouring
 * region are refused: a pointer names one object. An empty range names nothing and is
 * always fine. */
uint8_t *khs_span(const khs_core *core, uint32_t partition, uint64_t address, uint32_t size,
                  uint32_t rights)
{
    if (size == 0)
        return core->scratch;
    khs_slice slice = core->cfg_partitions[partition].maps;
    const khs_cfg_map *first = &core->cfg_maps[slice.first], *map = first + slice.count;
    while (map > first) {
        map--; /* they ascend */
        if (address < map->address)
            continue;
        uint64_t offset = address - map->address, room = core->cfg_regions[map->region].size;
        if (offset >= room || size > room - offset || (map->rights & rights) != rights)
            return NULL;
        return khs_port_region(core->port, map->region) + offset;
    }
    return NULL;
}

/* Writes a struct of the ABI for the guest; as it stands there it goes into the record of the
 * hypercall, so that a partition's own trace holds all that it could observe. */
bool khs_tell(const khs_core *core, uint32_t partition, uint64_t address, const void *info, uint32_t size,
              khs_outcome *outcome)
{
    uint8_t *to = khs_span(core, partition, address, size, KHS_W);
    if (to == NULL)
        return false;
    khs_copy(to, info, size);
    outcome->info = to;
    outcome->info_size = (uint16_t)size;
    return true;
}
