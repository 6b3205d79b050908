/* SPDX-License-Identifier: Apache-2.0 */
/* What the driver tells about the loss of its device (VK_EXT_device_fault), for the log. */
#include <inttypes.h>

#include "plugins/vulkan/vulkan.h"

#define ADDRESSES_MOST 8u
#define CODES_MOST 8u

static const char *meaning_of(VkDeviceFaultAddressTypeEXT type)
{
        switch (type) {
        case VK_DEVICE_FAULT_ADDRESS_TYPE_READ_INVALID_EXT: return "invalid read";
        case VK_DEVICE_FAULT_ADDRESS_TYPE_WRITE_INVALID_EXT: return "invalid write";
        case VK_DEVICE_FAULT_ADDRESS_TYPE_EXECUTE_INVALID_EXT: return "invalid instruction fetch";
        case VK_DEVICE_FAULT_ADDRESS_TYPE_INSTRUCTION_POINTER_UNKNOWN_EXT:
        case VK_DEVICE_FAULT_ADDRESS_TYPE_INSTRUCTION_POINTER_INVALID_EXT:
        case VK_DEVICE_FAULT_ADDRESS_TYPE_INSTRUCTION_POINTER_FAULT_EXT: return "instruction";
        default: return "fault";
        }
}

void vk_fault_log(struct qvf_device *device)
{
        VkDeviceFaultAddressInfoEXT addresses[ADDRESSES_MOST];
        VkDeviceFaultVendorInfoEXT codes[CODES_MOST];
        VkDeviceFaultCountsEXT counts = { .sType = VK_STRUCTURE_TYPE_DEVICE_FAULT_COUNTS_EXT };
        VkDeviceFaultInfoEXT info = {
                .sType = VK_STRUCTURE_TYPE_DEVICE_FAULT_INFO_EXT,
                .pAddressInfos = addresses,
                .pVendorInfos = codes,
        };

        if (!device->fault_info || device->fault_info(device->device, &counts, NULL) < 0)
                return;
        counts.addressInfoCount =
                        counts.addressInfoCount < ADDRESSES_MOST ? counts.addressInfoCount : ADDRESSES_MOST;
        counts.vendorInfoCount = counts.vendorInfoCount < CODES_MOST ? counts.vendorInfoCount : CODES_MOST;
        counts.vendorBinarySize = 0;
        if (device->fault_info(device->device, &counts, &info) < 0)
                return;
        vk_log(&device->host, 0, "vulkan: the driver says of the loss: %.*s", VK_MAX_DESCRIPTION_SIZE,
                        info.description);
        for (uint32_t i = 0; i < counts.addressInfoCount; i++)
                vk_log(&device->host, 0, "vulkan: %s at address 0x%" PRIx64 ", give or take 0x%" PRIx64,
                                meaning_of(addresses[i].addressType), addresses[i].reportedAddress,
                                addresses[i].addressPrecision);
        for (uint32_t i = 0; i < counts.vendorInfoCount; i++)
                vk_log(&device->host, 0, "vulkan: %.*s: code 0x%" PRIx64 ", data 0x%" PRIx64,
                                VK_MAX_DESCRIPTION_SIZE, codes[i].description, codes[i].vendorFaultCode,
                                codes[i].vendorFaultData);
}
