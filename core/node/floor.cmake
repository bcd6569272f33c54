target_link_libraries(floor_node PUBLIC uv)
