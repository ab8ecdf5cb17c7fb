// SPDX-License-Identifier: Apache-2.0
// tests/check/mutations.c - one function a mutation; the table at the end names the rule.

#include "tests/check/mutations.h"

#include "tests/check/hand_images.h"

static void add_route(Image *m, uint32_t x, uint32_t y, uint32_t color, Side in, Side out)
{
    m->routes[m->n_routes++] = (RouteRect){{x, y, 1, 1, 1, 1}, color, in, 1u << out, 0};
}

static void hops_without_delay(Image *m)
{
    m->machine.hop = 0;
}

static void a_wafer_of_no_rows(Image *m)
{
    m->machine.height = 0;
}

static void an_operation_of_no_width(Image *m)
{
    m->machine.cost[COST_MAC][DT_F32].width.num = 0;
}

static void a_class_that_is_not_there(Image *m)
{
    m->cores[0].class_id = 3;
}

static void a_sixth_side(Image *m)
{
    m->routes[ROUTE_Y].in = SIDE_COUNT;
}

static void a_tensor_that_is_not_there(Image *m)
{
    m->ports[0].tensor = 2;
}

static void sixteen_million_cores(Image *m)
{
    m->machine.width = m->machine.height = 4096;
    m->cores[0].grid = (Grid){0, 0, 4096, 4096, 1, 1};
}

static void an_empty_tensor(Image *m)
{
    m->tensors[0].extent[0] = 0;
}

static void a_tensor_of_2_34_bytes(Image *m)
{
    m->tensors[1].rank = 2;
    m->tensors[1].extent[0] = m->tensors[1].extent[1] = 1u << 16;
}

static void a_data_word_beyond_32_bits(Image *m)
{
    m->cores[0].data[MATVEC_SPARE] = (Affine){INT32_MAX, 0, 1};
}

static void a_region_beyond_the_east_edge(Image *m)
{
    m->kernels[0].x = 6;
}

static void two_regions_on_one_place(Image *m)
{
    m->kernels[1].x = m->kernels[1].y = 3;
}

static void a_rectangle_beyond_the_south_edge(Image *m)
{
    m->cores[0].grid.y = 7;
}

static void a_rectangle_moved_onto_another(Image *m)
{
    m->cores[1].grid.x = 2;
}

static void a_rectangle_moved_out_of_its_region(Image *m)
{
    m->cores[0].grid.x = 1;
}

static void dead(Image *m, DefectRun run)
{
    m->defects.runs[0] = m->defects.runs[1] = run;
    m->defects.n = 1;
}

static void dead_cores_off_the_wafer(Image *m)
{
    dead(m, (DefectRun){1, 7, 2});
}

static void the_same_dead_core_twice(Image *m)
{
    dead(m, (DefectRun){6, 3, 1});
    m->defects.n = 2;
}

static void more_spare_columns_than_columns(Image *m)
{
    m->machine.spare_columns = MACHINE_MAX_EXTENT + 1;
}

static void a_program_in_a_hole(Image *m)
{
    dead(m, (DefectRun){2, 2, DEFECT_SKIP + 1});
}

static void a_port_at_a_row_without_its_last_core(Image *m)
{
    dead(m, (DefectRun){2, 7, 1});
}

static void a_route_through_a_hole(Image *m)
{
    add_route(m, 4, 6, 5, SIDE_W, SIDE_E);
    dead(m, (DefectRun){6, 3, DEFECT_SKIP + 1});
}

static void a_reserved_color(Image *m)
{
    m->cores[0].channels[0].color = 21;
}

static void a_route_of_a_reserved_color(Image *m)
{
    m->routes[ROUTE_Y].color = 23;
}

static void more_colors_in_than_queues(Image *m)
{
    m->machine.queues_in = 1;
}

static void more_colors_out_than_queues(Image *m)
{
    m->machine.queues_out = 0;
}

static void two_queues_of_one_color(Image *m)
{
    m->cores[1].channels[1].color = 2;
}

static void a_port_beyond_the_machine(Image *m)
{
    m->ports[2].y = 8;
}

static void a_port_on_the_north_edge(Image *m)
{
    m->ports[2].side = SIDE_N;
}

static void two_ports_on_one_row(Image *m)
{
    m->ports[2].y = 2;
}

static void more_ports_than_the_edge_has(Image *m)
{
    m->machine.ports_east = 1;
}

static void two_words_a_cycle(Image *m)
{
    m->ports[0].q = 2;
}

static void more_than_the_host_passes(Image *m)
{
    m->machine.host_words.num = 2;
}

static void a_source_that_runs_the_program_of_a_sink(Image *m)
{
    m->ports[0].class_id = 1;
}

static void a_port_that_computes(Image *m)
{
    m->classes[1].ops[1].code = OPCODE_ADD;
    m->classes[1].ops[1].src[1] = (Operand){.kind = OPERAND_FLOAT};
}

static void a_tensor_of_another_type(Image *m)
{
    m->tensors[0].dtype = DT_I32;
}

static void a_port_beyond_its_tensor(Image *m)
{
    m->ports[2].data[0] = 12;
}

static void an_element_written_twice(Image *m)
{
    m->ports[2].data[0] = 4;
}

static void an_element_never_written(Image *m)
{
    m->tensors[1].extent[0] = 5;
}

static void a_port_without_a_route(Image *m)
{
    m->routes[ROUTE_X_IN].grid = (Grid){1, 2, 1, 1, 1, 1};
}

static void a_route_beyond_the_east_edge(Image *m)
{
    m->routes[ROUTE_Y_OUT].grid.nx = 4;
}

static void two_routes_of_one_color_crossing(Image *m)
{
    m->routes[ROUTE_CHAIN_0].color = 2;
}

static void back_where_it_comes_from(Image *m)
{
    m->routes[ROUTE_Y_OUT].out |= 1u << SIDE_W;
}

static void out_where_no_port_takes_it(Image *m)
{
    m->ports[1].color = 4;
}

static void a_route_that_ends_too_early(Image *m)
{
    m->routes[ROUTE_Y_OUT].grid.nx = 2;
}

static void a_router_that_sends_nowhere(Image *m)
{
    m->routes[ROUTE_X_BOTTOM].out = 0;
}

static void a_redirected_lane(Image *m)
{
    m->routes[ROUTE_Y].out = 1u << SIDE_S;
    m->routes[ROUTE_Y].grid.ny = 2;
}

static void a_router_that_listens_to_the_wrong_side(Image *m)
{
    m->routes[ROUTE_X_BOTTOM].in = SIDE_E;
}

static void a_loop(Image *m)
{
    add_route(m, 0, 5, 7, SIDE_S, SIDE_E);
    add_route(m, 1, 5, 7, SIDE_W, SIDE_S);
    add_route(m, 1, 6, 7, SIDE_N, SIDE_W);
    add_route(m, 0, 6, 7, SIDE_E, SIDE_N);
}

static void a_router_that_nothing_sends_to(Image *m)
{
    add_route(m, 0, 5, 7, SIDE_S, SIDE_E);
}

static void a_router_whose_core_does_not_send(Image *m)
{
    add_route(m, 2, 2, 7, SIDE_RAMP, SIDE_N);
}

static void delivered_where_there_is_no_core(Image *m)
{
    m->routes[ROUTE_Y_OUT].out |= 1u << SIDE_RAMP;
}

static void delivered_to_a_core_that_does_not_receive_it(Image *m)
{
    m->cores[0].channels[0].color = -1;
}

static void a_core_that_sends_without_a_route(Image *m)
{
    m->routes[ROUTE_Y].grid.ny = 1;
}

static void a_core_that_is_not_reached(Image *m)
{
    m->routes[ROUTE_X_CORNER].out = 1u << SIDE_RAMP;
    m->routes[ROUTE_X_BOTTOM].grid.nx = 2;
}

static void needs_49_153_bytes(Image *m)
{
    Segment *s = &m->cores[0].segments[MATVEC_SUM];
    s->address = 49145;
}

static void a_buffer_within_the_reserve(Image *m)
{
    m->cores[0].segments[MATVEC_SUM].address = 2032;
}

static void overlapping_buffers(Image *m)
{
    m->cores[0].segments[MATVEC_SUM].address -= 16;
}

static void code_that_is_one_operation_short(Image *m)
{
    m->cores[0].segments[MATVEC_CODE_SEGMENT].bytes -= 16;
}

static void code_elsewhere(Image *m)
{
    m->cores[0].segments[MATVEC_CODE_SEGMENT].address += 16;
}

static void data_that_are_one_word_short(Image *m)
{
    m->cores[0].segments[MATVEC_DATA_SEGMENT].bytes -= 4;
}

static void a_ring_larger_than_its_memory(Image *m)
{
    m->cores[0].channels[0].slots = 3;
}

static void a_ring_in_a_buffer(Image *m)
{
    m->cores[0].segments[MATVEC_RING_X].kind = SEGMENT_BUFFER;
}

static void two_channels_with_one_ring(Image *m)
{
    Channel *c = m->cores[1].channels;
    c[1].ring = c[0].ring;
    c[1].slots = c[0].slots;
    c[1].slot_words = c[0].slot_words;
}

static void initial_contents_beyond_the_weights(Image *m)
{
    m->cores[0].inits[0].address += 4;
}

static void weights_from_beyond_the_image(Image *m)
{
    m->cores[0].inits[0].pitch_j = 96;
}

static void weights_from_before_the_image(Image *m)
{
    m->cores[0].inits[0].pitch_j = -48;
}

static void receiving_from_an_outgoing_channel(Image *m)
{
    m->classes[2].ops[MATVEC_OP_RECEIVE].src[0].channel = 2;
}

static void a_loop_that_ends_elsewhere(Image *m)
{
    m->classes[2].ops[3].match = 8;
}

static void a_negative_count(Image *m)
{
    m->cores[0].data[MATVEC_MIDDLE].value = -1;
}

static void a_negative_extent(Image *m)
{
    m->cores[0].data[MATVEC_LENGTH].value = -1;
}

static void a_loop_of_2_29_turns(Image *m)
{
    m->cores[0].data[MATVEC_FIRST].value = 1 << 29;
}

static void a_table_beyond_the_data(Image *m)
{
    m->classes[2].ops[MATVEC_OP_SEND].extent[3] = TABLE(MATVEC_SPARE, 0);
    m->cores[0].data[MATVEC_SPARE].value = 2;
    m->cores[0].data[MATVEC_FIRST].value = 2;
}

static void a_ring_of_no_rows(Image *m)
{
    Operand *x = &m->classes[2].ops[MATVEC_OP_MAC].src[1];
    x->ring_pitch = IMM(4);
    x->ring_modulus = DATA(MATVEC_SPARE);
}

static void reading_beyond_a_buffer(Image *m)
{
    m->cores[2].data[MATVEC_PART].value += 4;
}

static void writing_into_a_ring(Image *m)
{
    m->classes[2].ops[MATVEC_OP_CLEAR].dst.base = IMM(4176);
}

static void writing_into_code(Image *m)
{
    m->classes[2].ops[MATVEC_OP_CLEAR].dst.base = IMM(2048);
}

static void writing_to_weights(Image *m)
{
    m->classes[2].ops[MATVEC_OP_CLEAR].dst.base = IMM(4096);
}

static void half_an_element_off(Image *m)
{
    m->cores[0].data[MATVEC_PART].value += 2;
}

static void summing_up_over_the_input(Image *m)
{
    m->classes[2].ops[MATVEC_OP_MAC].dst.base = IMM(4128);
}

static void receiving_without_a_color(Image *m)
{
    m->cores[0].data[MATVEC_MIDDLE].value = 1;
}

static void a_message_of_nothing(Image *m)
{
    m->cores[0].data[MATVEC_LENGTH].value = 0;
}

static void a_wrong_count_on_one_branch(Image *m)
{
    m->cores[0].data[MATVEC_FIRST].value = 2;
}

static void a_core_that_takes_nothing(Image *m)
{
    m->cores[2].data[MATVEC_LAST].value = 0;
}

static void five_words_of_six(Image *m)
{
    m->cores[1].data[MATVEC_LENGTH].value = 5;
}

static void slots_of_half_a_message(Image *m)
{
    m->cores[0].channels[0].slots = 4;
    m->cores[0].channels[0].slot_words = 3;
}

static void a_ring_too_small_for_the_long_way(Image *m)
{
    m->cores[2].channels[1].slots = 1;
    m->cores[2].segments[3].bytes = 16;
}

#define SPOILED(rule, good, how)                                                                   \
    {                                                                                              \
        CHECK_##rule, #how, good##_image, how                                                      \
    }

const Mutation mutations[] = {
    SPOILED(MACHINE, matvec, hops_without_delay),
    SPOILED(MACHINE, matvec, a_wafer_of_no_rows),
    SPOILED(MACHINE, matvec, an_operation_of_no_width),
    SPOILED(INDEX, matvec, a_class_that_is_not_there),
    SPOILED(INDEX, matvec, a_sixth_side),
    SPOILED(INDEX, matvec, a_tensor_that_is_not_there),
    SPOILED(SIZE, matvec, sixteen_million_cores),
    SPOILED(TENSOR, matvec, an_empty_tensor),
    SPOILED(TENSOR, matvec, a_tensor_of_2_34_bytes),
    SPOILED(DATA_RANGE, matvec, a_data_word_beyond_32_bits),
    SPOILED(KERNEL_OUTSIDE, matvec, a_region_beyond_the_east_edge),
    SPOILED(KERNEL_OVERLAP, matvec, two_regions_on_one_place),
    SPOILED(CORE_OUTSIDE, matvec, a_rectangle_beyond_the_south_edge),
    SPOILED(CORE_OVERLAP, matvec, a_rectangle_moved_onto_another),
    SPOILED(CORE_KERNEL, matvec, a_rectangle_moved_out_of_its_region),
    SPOILED(COLOR, matvec, a_reserved_color),
    SPOILED(COLOR, matvec, a_route_of_a_reserved_color),
    SPOILED(QUEUES_IN, matvec, more_colors_in_than_queues),
    SPOILED(QUEUES_OUT, matvec, more_colors_out_than_queues),
    SPOILED(QUEUE_TWICE, matvec, two_queues_of_one_color),
    SPOILED(PORT_PLACE, matvec, a_port_beyond_the_machine),
    SPOILED(PORT_PLACE, matvec, a_port_on_the_north_edge),
    SPOILED(PORT_ROW, matvec, two_ports_on_one_row),
    SPOILED(PORT_COUNT, matvec, more_ports_than_the_edge_has),
    SPOILED(PORT_RATE, matvec, two_words_a_cycle),
    SPOILED(PORT_BANDWIDTH, matvec, more_than_the_host_passes),
    SPOILED(PORT_CLASS, matvec, a_source_that_runs_the_program_of_a_sink),
    SPOILED(PORT_CLASS, matvec, a_port_that_computes),
    SPOILED(PORT_DTYPE, matvec, a_tensor_of_another_type),
    SPOILED(PORT_RANGE, matvec, a_port_beyond_its_tensor),
    SPOILED(PORT_OUTPUT, matvec, an_element_written_twice),
    SPOILED(PORT_OUTPUT, matvec, an_element_never_written),
    SPOILED(PORT_ROUTE, matvec, a_port_without_a_route),
    SPOILED(ROUTE_OUTSIDE, matvec, a_route_beyond_the_east_edge),
    SPOILED(ROUTE_CROSSING, matvec, two_routes_of_one_color_crossing),
    SPOILED(ROUTE_RETURN, matvec, back_where_it_comes_from),
    SPOILED(ROUTE_EDGE, matvec, out_where_no_port_takes_it),
    SPOILED(DEFECTS, matvec, dead_cores_off_the_wafer),
    SPOILED(DEFECTS, matvec, the_same_dead_core_twice),
    SPOILED(MACHINE, matvec, more_spare_columns_than_columns),
    SPOILED(CORE_DEAD, matvec, a_program_in_a_hole),
    SPOILED(PORT_DEAD, matvec, a_port_at_a_row_without_its_last_core),
    SPOILED(ROUTE_DEAD, matvec, a_route_through_a_hole),
    SPOILED(ROUTE_DANGLING, matvec, a_route_that_ends_too_early),
    SPOILED(ROUTE_DANGLING, matvec, a_router_that_sends_nowhere),
    SPOILED(ROUTE_SIDE, matvec, a_redirected_lane),
    SPOILED(ROUTE_SIDE, matvec, a_router_that_listens_to_the_wrong_side),
    SPOILED(ROUTE_LOOP, matvec, a_loop),
    SPOILED(ROUTE_UNREACHED, matvec, a_router_that_nothing_sends_to),
    SPOILED(ROUTE_SOURCE, matvec, a_router_whose_core_does_not_send),
    SPOILED(ROUTE_RAMP, matvec, delivered_where_there_is_no_core),
    SPOILED(ROUTE_RAMP, matvec, delivered_to_a_core_that_does_not_receive_it),
    SPOILED(CHANNEL_UNSENT, matvec, a_core_that_sends_without_a_route),
    SPOILED(CHANNEL_UNFED, matvec, a_core_that_is_not_reached),
    SPOILED(MEMORY_SIZE, matvec, needs_49_153_bytes),
    SPOILED(MEMORY_RESERVE, matvec, a_buffer_within_the_reserve),
    SPOILED(MEMORY_OVERLAP, matvec, overlapping_buffers),
    SPOILED(MEMORY_CODE, matvec, code_that_is_one_operation_short),
    SPOILED(MEMORY_CODE, matvec, code_elsewhere),
    SPOILED(MEMORY_DATA, matvec, data_that_are_one_word_short),
    SPOILED(RING_SEGMENT, matvec, a_ring_larger_than_its_memory),
    SPOILED(RING_SEGMENT, matvec, a_ring_in_a_buffer),
    SPOILED(RING_SHARED, matvec, two_channels_with_one_ring),
    SPOILED(INIT_RANGE, matvec, initial_contents_beyond_the_weights),
    SPOILED(INIT_DATA, matvec, weights_from_beyond_the_image),
    SPOILED(INIT_DATA, matvec, weights_from_before_the_image),
    SPOILED(PROGRAM, matvec, receiving_from_an_outgoing_channel),
    SPOILED(PROGRAM, matvec, a_loop_that_ends_elsewhere),
    SPOILED(LOOP_COUNT, matvec, a_negative_count),
    SPOILED(EXTENT, matvec, a_negative_extent),
    SPOILED(LENGTH, matvec, a_loop_of_2_29_turns),
    SPOILED(TABLE, matvec, a_table_beyond_the_data),
    SPOILED(RING_TERM, matvec, a_ring_of_no_rows),
    SPOILED(OPERAND_RANGE, matvec, reading_beyond_a_buffer),
    SPOILED(OPERAND_RANGE, matvec, writing_into_a_ring),
    SPOILED(OPERAND_RANGE, matvec, writing_into_code),
    SPOILED(OPERAND_CONSTANT, matvec, writing_to_weights),
    SPOILED(OPERAND_ALIGN, matvec, half_an_element_off),
    SPOILED(ALIAS, matvec, summing_up_over_the_input),
    SPOILED(CHANNEL_UNUSED, matvec, receiving_without_a_color),
    SPOILED(MESSAGE_EMPTY, matvec, a_message_of_nothing),
    SPOILED(BALANCE, matvec, a_wrong_count_on_one_branch),
    SPOILED(BALANCE, matvec, a_core_that_takes_nothing),
    SPOILED(MESSAGE_WORDS, matvec, five_words_of_six),
    SPOILED(MESSAGE_SLOT, matvec, slots_of_half_a_message),
    SPOILED(DEADLOCK, residual, a_ring_too_small_for_the_long_way),
};

const size_t n_mutations = sizeof mutations / sizeof *mutations;
